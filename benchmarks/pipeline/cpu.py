"""CPU seconds of processes and their children, as Linux counts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds(pid: int) -> float:
    """User and system time of a process, of its living children, and of those that ended; 0 when it is gone.

    Source: proc(5), /proc/pid/stat.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(seconds(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """Of a process: those that any of its threads started, and that still live; none when it is gone."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    """A process's children, their children, and so on."""
    return [one for child in children(pid) for one in (child, *descendants(child))]


def by_name(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds by name."""
    return {name: seconds(pid) for name, pid in pids.items()}
