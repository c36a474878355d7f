"""Break Presort in every way we could think of, and count: ``python -m benchmarks.faults --json``.

Each scenario has real processes of its own (Redis, receiver, two workers, beat, a local Zendesk), customers who write
all the time and agents who set a part of the fields before, during and after our decision. Counts are those of the
local Zendesk's audits. Ends with status 1 unless lost, written_twice and over_a_person are 0 everywhere and every
scenario could be played.

Example: python -m benchmarks.faults --scale 0.1 --only redis_flushed --only zendesk_down --at-once 2
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.faults.scenarios import SCENARIOS, play
from benchmarks.faults.stage import FaultError
from demo.processes import ProcessError

COLUMNS = ("sent", "decided", "lost", "written_twice", "over_a_person", "recovered_s")
ZERO = ("lost", "written_twice", "over_a_person")


def main() -> None:
    """A line for each scenario, as it ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME", help="this scenario; repeatable")
    parser.add_argument("--list", action="store_true", help="name the scenarios and how long each fault lasts")
    parser.add_argument("--scale", type=float, default=1.0, help="of how long faults last, and of looks at the export")
    parser.add_argument("--at-once", type=int, default=1, help="so many scenarios beside each other")
    parser.add_argument("--seed", type=int, default=1, help="of who writes what, and when agents look")
    parser.add_argument("--keep", type=Path, help="keep data and logs in this folder")
    parser.add_argument("--json", action="store_true", help="a JSON object for each scenario instead of a table")
    args = parser.parse_args()
    if args.list:
        for name, one in SCENARIOS.items():
            print(f"{name:24} {one.seconds:4.0f} s  {(one.fault.__doc__ or '').splitlines()[0]}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all processes are ended on the way out
    names = args.only or list(SCENARIOS)
    rows = []
    for row in [_here(args, names[0])] if len(names) == 1 else _apart(args, names):
        rows.append(row)
        print(json.dumps(row) if args.json else _line(row, head=len(rows) == 1), flush=True)
    sys.exit(any("error" in row or any(row[column] for column in ZERO) for row in rows))


def _here(args: argparse.Namespace, name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.keep or Path(temporary)) / name
        try:
            return play(name, folder.absolute(), scale=args.scale, seed=args.seed)
        except (FaultError, ProcessError, TimeoutError) as error:
            return {"scenario": name, "error": str(error)}


def _apart(args: argparse.Namespace, names: list[str]) -> Iterator[dict[str, Any]]:
    """Each in a process of its own, so that they cannot disturb each other; all end when this one is asked to."""
    children: list[subprocess.Popen[str]] = []

    def run(name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.faults", "--json", "--only", name, "--scale", str(args.scale)]
        command += ["--seed", str(args.seed), *(["--keep", str(args.keep)] if args.keep else [])]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        children.append(child)
        lines = child.communicate()[0].splitlines()
        return json.loads(lines[-1]) if lines else {"scenario": name, "error": f"ended with status {child.returncode}"}

    with ThreadPoolExecutor(max_workers=args.at_once) as pool:
        pending = [pool.submit(run, name) for name in names]
        try:
            for one in as_completed(pending):
                yield one.result()
        finally:
            for one in pending:
                one.cancel()
            for child in children:
                child.terminate()


def _line(row: dict[str, Any], *, head: bool) -> str:
    heading = f"{'scenario':24} " + " ".join(f"{column:>13}" for column in COLUMNS) + "\n" if head else ""
    if "error" in row:
        return f"{heading}{row['scenario']:24} could not be played: {row['error']}"
    cells = ("never" if row[column] is None else str(row[column]) for column in COLUMNS)
    return f"{heading}{row['scenario']:24} " + " ".join(f"{cell:>13}" for cell in cells)


if __name__ == "__main__":
    main()
