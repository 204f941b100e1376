"""Another vendor's audit export (CSV) as looks, row by row, in bounded memory.

Forms: the organisation audit and the network audit of Flock (columns as released by Santa Cruz and Conway: Name, Org Name, Total
Networks/Devices Searched, Time Frame, License Plate, Reason, Case #, Filters, Search Time, Search Type, Text Prompt, Moderation).

Rules
-----
1. Columns are found by name, in any order; only the time of the search must be there. Redacted names make one member of the organisation.
2. A row that cannot be read is counted with its line and the reason, and the next one is read.
3. Rows may come in any order: they are sorted before the detectors see them, 200,000 at a time.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo

from services.audit.looks import Look

FORMATS = ("flock-organization-audit", "flock-network-audit")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "user", "username", "searched by"), "org": ("org name", "organization", "org", "agency"),
    "networks": ("total networks searched", "networks searched", "total networks"), "devices": ("total devices searched", "devices searched"),
    "frame": ("time frame", "timeframe", "search window"), "plate": ("license plate", "plate", "plate number", "license plate(s)"),
    "reason": ("reason", "search reason", "purpose"), "case": ("case #", "case number", "case", "case#"), "filters": ("filters",),
    "time": ("search time", "searched at", "date", "timestamp", "time"), "type": ("search type", "type"),
    "prompt": ("text prompt", "freeform"), "moderation": ("moderation",),
}  # fmt: skip
_TIMES = (
    "%m/%d/%Y, %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%y %H:%M",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M",
)  # fmt: skip
_ZONE = re.compile(r"\s*(UTC|GMT|PST|PDT|MST|MDT|CST|CDT|EST|EDT)$")
_EMPTY = frozenset({"", "-", "n/a", "none", "null", "redacted", "[redacted]", "***"})
_MOST_HELD = 200_000
_MOST_LINE = 64 * 1024
_MOST_MALFORMED = 10_000


class VendorError(ValueError):
    """The file is not an audit export that can be read; the message says why."""


class VendorReader:
    """Reads an export piece by piece."""

    def __init__(self, form: str, agency_id: str, zone: tzinfo = UTC) -> None:
        if form not in FORMATS:
            raise VendorError(f"{form or 'no format'} is not known")
        self.form = form
        self.rows = 0
        self.malformed: list[tuple[int, str]] = []
        self._agency = agency_id
        self._zone = zone
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._text = ""
        self._line = 0
        self._columns: dict[str, int] | None = None
        self._held: list[Look] = []
        self._pending: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Look]:
        """Take bytes; yield looks when enough are held.

        Raises:
            VendorError: a line is endless, or the header names no time.
        """
        self._text += self._decoder.decode(chunk)
        *lines, self._text = self._text.split("\n")
        if len(self._text) > _MOST_LINE:
            raise VendorError(f"line {self._line + 1} is longer than {_MOST_LINE} characters: this is no CSV")
        for line in lines:
            self._take(line)
        if len(self._held) >= _MOST_HELD:
            yield from self._sorted()

    def end(self) -> Iterator[Look]:
        """Yield what is left.

        Raises:
            VendorError: there was no header.
        """
        self._take(self._text + self._decoder.decode(b"", final=True))
        self._text = ""
        if self._columns is None:
            raise VendorError("the file is empty: export the audit again as CSV")
        yield from self._sorted()

    def _sorted(self) -> Iterator[Look]:
        held, self._held = self._held, []
        return iter(sorted(held, key=lambda look: look.at))

    def _take(self, line: str) -> None:
        self._line += 1
        line = line.rstrip("\r")
        # A quoted cell may hold line breaks: a record goes on while its quotes are open.
        self._pending.append(line)
        record = "\n".join(self._pending)
        if record.count('"') % 2 and len(record) < _MOST_LINE:
            return
        self._pending.clear()
        if not record.strip():
            return
        if self._columns is None:
            self._columns = self._header(_cells(record))
            return
        self.rows += 1
        try:
            self._held.append(self._look(_cells(record)))
        except ValueError as error:
            if len(self.malformed) < _MOST_MALFORMED:
                self.malformed.append((self._line, str(error)))

    def _header(self, cells: list[str]) -> dict[str, int]:
        names = [c.strip().lower() for c in cells]
        found = {key: names.index(n) for key, known in _COLUMNS.items() for n in known if n in names}
        if "time" not in found:
            raise VendorError(
                f"no column names the time of a search (Search Time); the columns are {', '.join(names)[:200]}"
            )
        return found

    def _look(self, cells: list[str]) -> Look:
        def cell(name: str) -> str:
            at = (self._columns or {}).get(name)
            text = cells[at].strip() if at is not None and at < len(cells) else ""
            return "" if text.lower() in _EMPTY else text

        at = self._time(cell("time"))
        org = cell("org") or self._agency
        plate = re.sub(r"[^A-Z0-9?*]", "", cell("plate").upper())
        elements = tuple((name, cell(name)) for name in ("plate", "filters", "type", "prompt") if cell(name))
        return Look(
            index=self._line, at=at, agency_id=self._agency, owner_agency_id=self._agency, member_id=cell("name") or f"somebody of {org}",
            member_name=cell("name"), workload=org, action=cell("type") or "search", plate=plate, elements=elements, offence="",
            case_number=cell("case"), reason=cell("reason"), attested=False, status="OK", rule="", result_count=0,
            span_days=_days(cell("frame")), cameras=_number(cell("devices")), agencies=_number(cell("networks")),
        )  # fmt: skip

    def _time(self, text: str) -> datetime:
        if not text:
            raise ValueError("no time")
        bare = _ZONE.sub("", text)
        zone = UTC if bare == text or text.endswith(("UTC", "GMT")) else self._zone
        at: datetime | None = None
        with suppress(ValueError):
            at = datetime.fromisoformat(bare)
        if at is None:
            for form in _TIMES:
                try:
                    at = datetime.strptime(bare, form)  # noqa: DTZ007 - the zone is added below
                    break
                except ValueError:
                    continue
        if at is None:
            raise ValueError(f"the time {text[:40]!r} has no known form")
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def _cells(record: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(record, newline="")), [])
    except csv.Error as error:
        raise VendorError(f"this is no line of a CSV file ({error})") from error


def _number(text: str) -> int:
    digits = re.sub(r"[^\d]", "", text)
    return int(digits[:9]) if digits else 0


def _days(frame: str) -> float:
    """The width of a window like "01/02/2026 - 02/01/2026", "30 days" or "Last 7 days"; 0 when it says nothing."""
    if found := re.search(r"(\d+)\s*(day|week|month|hour|year)", frame.lower()):
        return int(found[1][:6]) * {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}[found[2]]
    ends = re.findall(r"(\d{1,2})/(\d{1,2})/(\d{4})", frame)
    if len(ends) == 2:
        try:
            first, last = (datetime(int(y), int(m), int(d), tzinfo=UTC) for m, d, y in ends)
        except ValueError:
            return 0.0
        return max(0.0, (last - first).total_seconds() / 86400)
    return 0.0
