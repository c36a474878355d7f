"""What processes use, together with all that they have started; a process that is gone uses nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psutil


def family(pid: int) -> list[psutil.Process]:
    """A process, its children, their children, and so on."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def cpu_s(pid: int) -> float:
    """Seconds of user and system time, those of children that have ended too."""

    def spent(one: psutil.Process) -> float:
        times = one.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    return _sum(pid, spent)


def pss_mb(pid: int) -> float:
    """Megabytes, pages shared among several processes counted in parts."""
    return _sum(pid, lambda one: one.memory_full_info().pss / 1e6)


def rss_mb(pid: int) -> float:
    """Megabytes, shared pages counted with each process."""
    return _sum(pid, lambda one: one.memory_info().rss / 1e6)


def open_files(pid: int) -> int:
    """File descriptors: files, sockets and the like."""
    return round(_sum(pid, lambda one: one.num_fds()))


def kill(pid: int) -> None:
    """SIGKILL to each."""
    for one in family(pid):
        with suppress(psutil.NoSuchProcess):
            one.kill()


def _sum(pid: int, read: Callable[[psutil.Process], float]) -> float:
    total = 0.0
    for one in family(pid):
        with suppress(psutil.NoSuchProcess):
            total += read(one)
    return total
