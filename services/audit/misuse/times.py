"""Times and spans as people and vendors write them in the United States.

Rules
-----
1. Month comes before day; a month above 12 is a fault, never a guess.
2. An offset or a named zone counts (``PST`` is UTC-8 whatever the season says); a bare time is in the zone that was given.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_ZONES = {"UTC": 0, "GMT": 0, "Z": 0, "HST": -10, "AKST": -9, "AKDT": -8, "PST": -8, "PDT": -7, "MST": -7, "MDT": -6, "CST": -6,
          "CDT": -5, "EST": -5, "EDT": -4}  # fmt: skip
_MONTHS = {
    name: i
    for i, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_CLOCK = r"(?:,|\s|T|\bat\b)*(?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
_ZONE = r"\s*\(?(?P<zone>[A-Za-z]{1,4}|(?:UTC|GMT)?[+-]\d{2}:?\d{2})?\)?"
_FORMS = (
    re.compile(r"(?P<month>\d{1,2})[/-](?P<day>\d{1,2})[/-](?P<year>\d{4}|\d{2})" + _CLOCK + _ZONE),
    re.compile(r"(?P<year>\d{4})[/-](?P<month>\d{1,2})[/-](?P<day>\d{1,2})" + _CLOCK + _ZONE),
    re.compile(r"(?:[A-Za-z]{3,9},?\s+)?(?P<name>[A-Za-z]{3,9})\.?\s+(?P<day>\d{1,2}),?\s+(?P<year>\d{4})" + _CLOCK + _ZONE),
)  # fmt: skip
_EPOCH = re.compile(r"\d{10}(\d{3})?")
_UNITS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}


def parse_time(text: str, zone: tzinfo) -> datetime:
    """Return an instant in UTC.

    Raises:
        ValueError: the text is no time; the message says which.
    """
    bare = " ".join(text.split())
    if _EPOCH.fullmatch(bare):
        return datetime.fromtimestamp(int(bare[:10]), UTC)
    for form in _FORMS:
        if found := form.fullmatch(bare):
            return _instant(found.groupdict(), zone, bare)
    raise ValueError(f"the time {bare[:40]!r} has no known form" if bare else "it has no time")


def _instant(part: dict[str, str | None], zone: tzinfo, text: str) -> datetime:
    month = (
        _MONTHS.get((part.get("name") or "")[:3].lower(), 0)
        if "name" in part
        else int(part.get("month") or 0)
    )
    if not 1 <= month <= 12:
        raise ValueError(f"the time {text[:40]!r} has no month {month}: dates are month/day/year")
    year, hour, half = int(part["year"] or 0), int(part["hour"] or 0), (part["half"] or "").upper()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(f"the time {text[:40]!r} has no hour {hour} {half}")
        hour = hour % 12 + (12 if half.startswith("P") else 0)
    try:
        local = datetime(year + 2000 if year < 100 else year, month, int(part["day"] or 0), hour, int(part["minute"] or 0), int(part["second"] or 0),
                         tzinfo=_named(part["zone"], zone))  # fmt: skip
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"the time {text[:40]!r} does not exist: {error}") from None


def _named(name: str | None, zone: tzinfo) -> tzinfo:
    if not name:
        return zone
    if name.upper() in _ZONES:
        return timezone(timedelta(hours=_ZONES[name.upper()]))
    if found := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})", name):
        sign = -1 if found[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(found[2]), minutes=int(found[3])))
    if name.upper() in ("PT", "MT", "CT", "ET"):
        return zone
    raise ValueError(f"the zone {name} is not known")


def span_days(text: str) -> float:
    """The width in days of a window such as ``01/02/2026 - 02/01/2026``, ``30 days`` or ``Last 7 days``; 0 when it says nothing."""
    if found := re.search(r"(\d{1,5})\s*(hour|day|week|month|year)", text.lower()):
        return int(found[1]) * _UNITS[found[2]]
    ends = re.split(r"\s+(?:-|–|—|to|through|until)\s+", text.strip())  # noqa: RUF001 - dashes that exports hold
    if len(ends) != 2:
        return 0.0
    try:
        first, last = (parse_time(end, UTC) for end in ends)
    except ValueError:
        return 0.0
    return max(0.0, (last - first).total_seconds() / 86400)
