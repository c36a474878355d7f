"""Times as they are read and shown; everywhere else they are Unix seconds."""

from __future__ import annotations

from datetime import datetime


def local_time(at: float) -> str:
    """Unix seconds as local time, with its zone."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def unix_time(stamp: object) -> float | None:
    """Unix seconds of a time as Zendesk writes it (ISO 8601); None for anything else."""
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return None
