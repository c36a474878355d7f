"""Times as they are read and shown; everywhere else they are Unix seconds."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def local_time(at: float, zone: str) -> str:
    """Unix seconds as local time and its zone, the account's: ``settings.Zendesk.time_zone``."""
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"


SUNDAY = 6
LATEST = 1e11
"""What messages carry (``messages.Time``): who writes a later time means none."""


def week_hour(hour: int, zone: ZoneInfo, holidays: Collection[date] = ()) -> int:
    """Hour of the local week of a Unix hour, 0 = Monday 00:00; a holiday's are those of a Sunday.

    It is the one that the hour's middle falls into. So where clocks differ from UTC by half an hour, 16:00 stands for
    15:30 to 16:30: every week the same half hour off. An hour that a change of the clocks leaves out has no hour that
    day, one that it repeats has two.
    """
    at = (datetime.fromtimestamp(hour * 3600, UTC) + timedelta(minutes=30)).astimezone(zone)
    return 24 * (SUNDAY if at.date() in holidays else at.weekday()) + at.hour


def from_local(typed: datetime, zone: str) -> float:
    """Unix seconds of a date and time that a person gave in a zone; of an hour that comes twice, the first."""
    return typed.replace(tzinfo=ZoneInfo(zone)).timestamp()


def unix_time(stamp: object) -> float | None:
    """Unix seconds of a time as Zendesk writes it (ISO 8601); None for anything else, and before 1970 or after 5138."""
    try:
        at = datetime.fromisoformat(str(stamp)).timestamp()
    except (ValueError, OverflowError):
        return None
    return at if 0 <= at <= LATEST else None


def once_in(weeks: float) -> str:
    """How rarely that is: ``once in 38 weeks``."""
    if weeks < 1:
        return "more than once a week"
    return f"once in {weeks:.0f} week{'s' * (round(weeks) != 1)}" if weeks < 520 else "less than once in 10 years"


def span(seconds: float) -> str:
    """How long that is: ``45 s``, ``12 min``, ``1.5 h``, ``3 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"
