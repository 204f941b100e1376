"""Another vendor's audit export (CSV) as looks in order of time, in bounded memory.

Forms: the organisation audit and the network audit of Flock, with the columns in which they were released (Santa Cruz, Conway): Name,
Org Name, Total Networks/Devices Searched, Time Frame, License Plate, Reason, Case #, Filters, Search Time, Search Type, Text Prompt,
Moderation.

Rules
-----
1. Columns are found by name, in any order, after any lines of title; only the time of a search must be there.
2. A row that cannot be read is counted, with its line and the reason, and the next one is read.
3. Rows may come in any order; the same row twice counts once.
4. Where a name is redacted, all such searches of an organisation are somebody's of that organisation: ``POOLED`` begins that member's name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo

from services.audit.looks import Look
from services.audit.misuse.ordered import Ordered, Row
from services.audit.misuse.records import Record, Records
from services.audit.misuse.times import parse_time, span_days

FORMATS = ("flock-organization-audit", "flock-network-audit")
POOLED = "somebody of "
MOST_SHOWN = 100
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "time": ("search time", "searched at", "time of search", "search date", "timestamp", "date time", "datetime", "date", "time", "created at"),
    "name": ("name", "user", "user name", "username", "searched by", "officer", "full name"),
    "org": ("org name", "organization name", "organization", "organisation", "org", "agency", "agency name"),
    "networks": ("total networks searched", "networks searched", "total networks", "networks"),
    "devices": ("total devices searched", "devices searched", "total devices", "total cameras searched", "devices", "cameras"),
    "frame": ("time frame", "timeframe", "search window", "date range"),
    "plate": ("license plate", "licence plate", "license plates", "plate", "plate number", "plates", "lp"),
    "reason": ("reason", "search reason", "reason for search", "purpose"),
    "case": ("case", "case number", "case no", "case id", "casenumber"),
    "type": ("search type", "type"), "prompt": ("text prompt", "freeform", "free form", "prompt"), "filters": ("filters", "filter"),
}  # fmt: skip
_NOTHING = re.compile(
    r"[\W_x█]*|[\W_]*(redacted|withheld|removed|hidden|n/?a|none|null|unknown|not applicable)[\W_]*",
    re.IGNORECASE,
)
_TITLE_LINES = 20
_MOST_CELL = 500
_MOST_PLATES = 20


class VendorError(ValueError):
    """The file is not an audit export that can be read; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read."""

    line: int
    why: str


class VendorReader:
    """Reads an export piece by piece: first ``feed`` and ``end``, then ``looks``."""

    def __init__(self, form: str, agency_id: str, zone: tzinfo = UTC) -> None:
        """Begin.

        Args:
            form: one of ``FORMATS``.
            agency_id: who audits; stands for the organisation where the file names none.
            zone: of times that name none.

        Raises:
            VendorError: the form is not known.
        """
        if form not in FORMATS:
            raise VendorError(f"the format {form!r} is not known: use one of {', '.join(FORMATS)}")
        self.form = form
        self.rows = self.malformed_rows = self.redacted_rows = 0
        self.malformed: list[BadRow] = []
        self.columns: dict[str, int] = {}
        self.unknown: list[str] = []
        self._agency, self._zone = agency_id, zone
        self._records, self._ordered = Records(), Ordered()
        self._titles: list[Record] = []

    def feed(self, chunk: bytes) -> None:
        """Take bytes.

        Raises:
            VendorError: this is no audit export.
        """
        self._take_all(self._records.feed(chunk))

    def end(self) -> None:
        """Say that there is no more.

        Raises:
            VendorError: no line names the time of a search.
        """
        self._take_all(self._records.end())
        if not self.columns:
            raise _no_header(self._titles)

    def looks(self) -> Iterator[Look]:
        """Yield the looks, oldest first; ``index`` is the line of the file."""
        for at, line, member, org, action, plate, case, reason, days, cameras, agencies in self._ordered:
            yield Look(
                index=line, at=at, agency_id=self._agency, owner_agency_id=self._agency, member_id=member, member_name=member, workload=org,
                action=action, plate=plate, elements=(), offence="", case_number=case, reason=reason, attested=False, status="OK", rule="",
                result_count=0, span_days=days, cameras=cameras, agencies=agencies,
            )  # fmt: skip

    @property
    def duplicates(self) -> int:
        """Rows that stood there twice; known when ``looks`` has ended."""
        return self._ordered.duplicates

    def close(self) -> None:
        """Forget what was read."""
        self._ordered.close()

    def _take_all(self, records: Iterator[Record]) -> None:
        try:
            for record in records:
                self._take(record)
        except csv.Error as error:
            raise VendorError(f"the file cannot be read: {error}. Export the audit again as CSV") from None

    def _take(self, record: Record) -> None:
        if not self.columns:
            self._head(record)
            return
        self.rows += 1
        try:
            for row in self._made(record):
                self._ordered.add(row)
        except ValueError as error:
            self.malformed_rows += 1
            if len(self.malformed) < MOST_SHOWN:
                self.malformed.append(BadRow(record.line, str(error)))

    def _head(self, record: Record) -> None:
        names = [re.sub(r"[\s_#*.:()]+", " ", cell.lower()).strip() for cell in record.cells]
        found = {
            key: names.index(n) for key, known in _COLUMNS.items() for n in reversed(known) if n in names
        }
        if "time" in found and len(found) >= 3:
            self.columns = found
            self._records.width = len(names)
            self.unknown = [c for i, c in enumerate(record.cells) if i not in found.values() and c.strip()]
            return
        self._titles.append(record)
        if len(self._titles) > _TITLE_LINES:
            raise _no_header(self._titles)

    def _made(self, record: Record) -> Iterator[Row]:
        cells, width = record.cells, self._records.width
        if record.fault:
            raise ValueError(record.fault)
        if any(cell.strip() for cell in cells[width:]):
            raise ValueError(
                f"it has {len(cells)} cells and the header {width}: a comma stands outside of quotes"
            )

        def cell(name: str) -> str:
            at = self.columns.get(name)
            text = _clean(cells[at]) if at is not None and at < len(cells) else ""
            return "" if _NOTHING.fullmatch(text) else text

        at = parse_time(cell("time"), self._zone)
        if not 2000 <= at.year <= 2100:
            raise ValueError(f"the year {at.year} cannot be")
        org = cell("org")
        name = cell("name")
        self.redacted_rows += not name
        member = (
            f"{name} ({org})" if name and org else name or f"{POOLED}{org or self._agency or 'the agency'}"
        )
        # A full stop as the reason is a reason that says nothing, not a missing one.
        reason = cell("reason") or self._raw(cells, "reason")
        action = cell("type").lower() or ("text search" if cell("prompt") else "search")
        for plate in _plates(cell("plate")) or [""]:
            yield (at, record.line, member, org or self._agency, action, plate, cell("case"), reason, span_days(cell("frame")), _number(cell("devices")),
                   _number(cell("networks")))  # fmt: skip

    def _raw(self, cells: tuple[str, ...], name: str) -> str:
        at = self.columns.get(name)
        return _clean(cells[at]) if at is not None and at < len(cells) else ""


def _clean(cell: str) -> str:
    """One line, without letters that nobody sees: nothing in it moves a terminal's cursor or turns the direction of a text."""
    text = " ".join(cell.split())
    return (text if text.isprintable() else "".join(c for c in text if c.isprintable()))[:_MOST_CELL]


def _plates(text: str) -> list[str]:
    """Several plates in a cell are several looks; ``CA: 8ABC123`` and ``8ABC123 (CA)`` are one plate."""
    bare = re.sub(r"\([^)]*\)", "", text.upper())
    parts = [re.sub(r"^\s*[A-Z]{2}\s*:\s*", "", part) for part in re.split(r"[,;|/\n]", bare)]
    plates = dict.fromkeys(re.sub(r"[^A-Z0-9?*]", "", part)[:16] for part in parts)
    return [plate for plate in plates if re.search(r"[A-Z0-9]", plate)][:_MOST_PLATES]


def _number(text: str) -> int:
    """A count; a list of names counts its names."""
    digits = re.sub(r"[,\s]", "", text)
    if digits.isdigit():
        return int(digits[:9])
    return len([part for part in text.split(",") if part.strip()])


def _no_header(titles: list[Record]) -> VendorError:
    if not titles:
        return VendorError("the file is empty: export the audit again as CSV")
    widest = max(titles, key=lambda record: len(record.cells))
    shown = ", ".join(cell.strip()[:30] for cell in widest.cells)[:200]
    return VendorError(
        f"no line names the time of a search (a column Search Time, beside Name, License Plate, Reason …); found: {shown}"
    )
