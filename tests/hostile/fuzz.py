"""Coverage-guided fuzzing of the same properties: ``make fuzz``, or ``python -m tests.hostile.fuzz webhook``.

Needs atheris (``make .venv/fuzz``). An input that breaks a property is printed, and kept in ``var/fuzz``: mend
what it found, and write the input by hand into ``test_properties.FOUND``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = ["integration", "model_export", "worker"]
FOUND = Path("var") / "fuzz"
SLOWEST_S, MEMORY_MB = 10, 2048


def main() -> None:
    """Fuzz the targets named, or all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="*", help="webhook, signature, ...; all unless given")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        _fuzz(asked.target[0], asked.seconds)
        return
    from tests.hostile.properties import TARGETS

    if unknown := set(asked.target) - TARGETS.keys():
        parser.error(f"no target {', '.join(unknown)}: there is {', '.join(TARGETS)}")
    # A process each: libFuzzer ends its own.
    command = [sys.executable, "-m", "tests.hostile.fuzz", "--here", "--seconds", str(asked.seconds)]
    failed = [one for one in asked.target or TARGETS if subprocess.run([*command, one], check=False).returncode]
    print(f"{len(failed)} targets failed: {', '.join(failed) or 'none'}")  # noqa: T201 - its answer
    sys.exit(bool(failed))


def _fuzz(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=OURS):
        from tests.hostile.properties import TARGETS

    target = TARGETS[name]
    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MEMORY_MB}"]
        print(f"{name}, {seconds} s", flush=True)  # noqa: T201 - progress
        atheris.Setup(
            [name, folder, *limits, "-print_final_stats=1", "-max_len=8192", f"-artifact_prefix={FOUND}/"], target.holds
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
