"""Known weaknesses of the locked packages: ``python -m tests.hostile.audit requirements/dev.txt``.

pip-audit asks an advisory service. Where that cannot be reached, or does not know the packages, this says so in so many
words and is no failure: nothing was audited, and nothing was found. A weakness that it knows of fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TOOL = ("uv", "tool", "run", "--quiet", "--from", "pip-audit==2.10.1", "pip-audit")
SECONDS = 240


def main(files: list[str]) -> int:
    """Audit each file; 1 when a package has a known weakness."""
    worst = 0
    for file in files:
        weak, audited, told = audit(file)
        for line in weak:
            print(f"{file}: {line}")  # noqa: T201 - its answer
        if audited:
            print(f"{file}: {audited} packages audited, {len(weak)} known weaknesses")  # noqa: T201 - its answer
        else:
            print(f"{file}: NOT AUDITED, the advisory service cannot be reached or knows none of the packages: {told}")  # noqa: T201 - its answer
        worst = max(worst, bool(weak))
    return worst


def audit(file: str) -> tuple[list[str], int, str]:
    """The weaknesses, a line each; how many packages were audited; why that are none."""
    tool = [str(Path(sys.executable).with_name(TOOL[0])), *TOOL[1:]]
    asked = [*tool, "--requirement", file, "--disable-pip", "--require-hashes", "--format", "json", "--timeout", "10"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS, check=False)
        found = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [], 0, f"no answer in {SECONDS} s"
    except (ValueError, KeyError, OSError):
        return [], 0, (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:200]
    audited = [one for one in found if "skip_reason" not in one]
    weak = [f"{one['name']} {one['version']}: {w['id']}" for one in audited for w in one["vulns"]]
    skipped = [one["skip_reason"] for one in found if "skip_reason" in one]
    return weak, len(audited), skipped[0] if skipped else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
