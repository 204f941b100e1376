"""Rows of a source's file → entries of a list, by a mapping that is data. Pure: text in, rows and reasons out.

Rules
-----
1. What is denied (immigration, Gov. Code 7284.6) is looked at first and dropped, whatever else the row says, in whichever
   of its columns, and also where the row is malformed (``limits.py``).
2. The category follows from the codes, the most that may be done from the category. Where a row has several codes, all must be
   decided about and the one that allows least counts: a file's name never lifts what the message key says. Stored,
   impounded, repossessed and lost never lead to a stop, whatever a mapping says. A code or category that nobody decided about
   is dropped (coded extracts) or a lead at most (the agency's own file).
3. A partial plate is no official entry.
4. Only an official extract (the operator names those lists) leads further than to a lead and stays in force until it drops a row;
   any other row expires, at most so many days ahead. A row of the agency's own file needs its reason.
5. Each drop has a reason and is counted; nothing is dropped unseen.
6. A row's digest is of what the source says. When an entry expires by default is no word of the source: it moves on with each
   import and changes nothing.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from plates.normal import PlateError, normalize
from plateward.common.v1 import recognition_pb2
from plateward.hotlist.v1 import hit_pb2
from services.hotlist.issuers import issuer
from services.hotlist.limits import is_denied, most_of

# What a denied row may say in these columns is a plate's or a number's own letters.
_NO_WORDS = ("plate", "state", "vin", "key", "nic")
# In force until the list drops it: an official entry's age is its list's.
_OPEN_END = datetime(2199, 1, 1, tzinfo=UTC)
_NO_PLATE = frozenset({"", "UNK", "UNKNOWN", "NONE", "NOPLATE", "NOLIC", "TEMP"})
_UNKNOWN_MARKS = frozenset("?*%#")
_ACTIONS = {
    "inform": hit_pb2.MAX_ACTION_INFORM,
    "lead": hit_pb2.MAX_ACTION_LEAD,
    "stop": hit_pb2.MAX_ACTION_STOP,
}
_COLOURS = {
    "BLK": "black", "WHI": "white", "SIL": "silver", "GRY": "grey", "RED": "red", "MAR": "red", "BLU": "blue", "DBL": "blue",
    "LBL": "blue", "GRN": "green", "DGR": "green", "LGR": "green", "YEL": "yellow", "GLD": "gold", "ORG": "orange",
    "BRO": "brown", "TAN": "tan", "BGE": "beige", "PLE": "purple", "PNK": "pink",
}  # fmt: skip
_KINDS = {
    "2D": recognition_pb2.VEHICLE_TYPE_CAR, "4D": recognition_pb2.VEHICLE_TYPE_CAR, "CV": recognition_pb2.VEHICLE_TYPE_CAR,
    "SW": recognition_pb2.VEHICLE_TYPE_CAR, "CP": recognition_pb2.VEHICLE_TYPE_CAR, "HB": recognition_pb2.VEHICLE_TYPE_CAR,
    "CAR": recognition_pb2.VEHICLE_TYPE_CAR, "PK": recognition_pb2.VEHICLE_TYPE_CAR, "TK": recognition_pb2.VEHICLE_TYPE_TRUCK,
    "TR": recognition_pb2.VEHICLE_TYPE_TRUCK, "PICKUP": recognition_pb2.VEHICLE_TYPE_CAR, "TRUCK": recognition_pb2.VEHICLE_TYPE_TRUCK, "BU": recognition_pb2.VEHICLE_TYPE_BUS,
    "BUS": recognition_pb2.VEHICLE_TYPE_BUS, "MC": recognition_pb2.VEHICLE_TYPE_MOTORCYCLE,
    "MOTORCYCLE": recognition_pb2.VEHICLE_TYPE_MOTORCYCLE,
}  # fmt: skip


class MappingUnknownError(LookupError):
    """There is no mapping of that name."""


class DroppedError(ValueError):
    """A row is no entry; ``str`` is the reason under which it is counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as an entry; ``key`` says which entry of the source it is, ``digest`` what it says."""

    key: str
    digest: str
    plate: str
    state: str
    vehicle_type: int
    colour: str
    category: str
    reason: str
    case_number: str
    expires_at: datetime
    max_action: int
    vin: str
    make: str
    model: str
    model_year: str
    plate_year: str
    plate_type: str
    vehicle_style: str
    ori: str
    nic: str
    oan: str


@dataclass(frozen=True, slots=True)
class Source:
    """A mapping: columns, codes and actions of one kind of file."""

    columns: Mapping[str, str]
    code: Sequence[str]
    official: bool
    codes: Mapping[str, str]
    actions: Mapping[str, str]
    denied_reason: str
    denied_codes: frozenset[str]

    def header(self, line: str) -> list[str]:
        """Return the columns that a file's first line names.

        Raises:
            ValueError: the column of the plate or of the code is not among them, or one is there twice.
        """
        names = [name.strip() for name in next(csv.reader([line.removeprefix("\ufeff")]), [])]
        if self.columns["plate"] not in names or not set(self.code) & set(names):
            raise ValueError(
                f"The first line must name the columns, {self.columns['plate']} and {' or '.join(self.code)} among them: "
                "send the file with its header, or choose the mapping that fits it."
            )
        named = [name for name in names if name]
        if len(set(named)) != len(named):
            # The second would hide what the first says.
            raise ValueError("The first line names a column twice: send each once.")
        return names

    def row(
        self, names: Sequence[str], line: str, now: datetime, max_days: int, *, trusted: bool = True
    ) -> Row:
        """Return a line as an entry; ``trusted`` where the operator holds the list for an official extract.

        Raises:
            DroppedError: it is none, with the reason.
        """
        try:
            # Strict: a quotation that does not end on its line would hide what the next line says.
            values = [value.strip() for value in next(csv.reader([line], strict=True), [])]
        except csv.Error:
            values = [line]
        if len(values) != len(names):
            raise DroppedError(self.denied_reason if self._is_denied(values, values) else "malformed")
        cells = dict(zip(names, values, strict=True))
        codes = [cells[name] for name in self.code if cells.get(name)]
        silent = {self.columns.get(what) for what in _NO_WORDS}
        texts = [value for name, value in zip(names, values, strict=True) if name not in silent]
        if self._is_denied(codes, texts):
            raise DroppedError(self.denied_reason)
        official = self.official and trusted
        category, most = self._category(codes)
        plate = _plate(self._cell(cells, "plate"))
        state = issuer(self._cell(cells, "state"))
        reason = self._reason(cells, category)
        ends = "" if self.official else self._cell(cells, "expires")
        expires_at = _OPEN_END if official else _expiry(ends, now, max_days)
        colour = self._cell(cells, "colour")
        content = (
            plate, state, int(_KINDS.get(self._cell(cells, "vehicle").upper(), 0)),
            _COLOURS.get(colour.upper()[:3], colour.lower() if colour.isascii() and colour.isalpha() else "")[:16],
            category, reason[:500], self._cell(cells, "case_number")[:64],
        )  # fmt: skip
        allowed = int(most if official else min(most, hit_pb2.MAX_ACTION_LEAD))
        key = self._cell(cells, "key") or f"{plate}|{state}|{category}"
        described = self._described(cells)
        said = hashlib.sha256(repr((*content, *described, ends, allowed)).encode()).hexdigest()[:32]
        return Row(key[:128], said, *content, expires_at, allowed, *described)

    def _described(self, cells: Mapping[str, str]) -> tuple[str, ...]:
        """Return what the source says of the vehicle and of who entered it, in the order of ``Row``, as it writes it."""
        year = self._cell(cells, "model_year")
        style = self._cell(cells, "vehicle").upper()
        return (
            self._cell(cells, "vin").upper()[:20], self._cell(cells, "make")[:24], self._cell(cells, "model")[:24],
            year if len(year) == 4 and year.isascii() and year.isdigit() else "", self._cell(cells, "plate_year")[:4],
            self._cell(cells, "plate_type")[:4], style[:16], self._cell(cells, "ori")[:16], self._cell(cells, "nic")[:128],
            self._cell(cells, "oan")[:32],
        )  # fmt: skip

    def _cell(self, cells: Mapping[str, str], what: str) -> str:
        return cells.get(self.columns.get(what, ""), "")

    def _is_denied(self, codes: Iterable[str], texts: Iterable[str]) -> bool:
        return any(_code(code) in self.denied_codes for code in codes) or is_denied(texts)

    def _category(self, codes: Sequence[str]) -> tuple[str, hit_pb2.MaxAction.ValueType]:
        """Return the category of the code that allows least, the last of them where several do, and what it allows."""
        found = [self.codes.get(code.lower(), "") for code in codes]
        if not codes or (self.official and not all(found)):
            raise DroppedError("unknown code")
        categories = [
            category or code.lower().replace(" ", "-")[:64]
            for code, category in zip(codes, found, strict=True)
        ]
        least = min(reversed(categories), key=self._most)
        return least, self._most(least)

    def _reason(self, cells: Mapping[str, str], category: str) -> str:
        note = self._cell(cells, "note")
        if not self.official:
            if len(note) < 3:
                raise DroppedError("no reason")
            return note
        since = self._cell(cells, "since")
        return (
            f"{category.replace('-', ' ')}{f' since {since}' if since else ''}{f': {note}' if note else ''}"
        )

    def _most(self, category: str) -> hit_pb2.MaxAction.ValueType:
        return most_of(category, _ACTIONS[self.actions.get(category, "lead")])


@cache
def source(name: str) -> Source:
    """Return the mapping of a name.

    Raises:
        MappingUnknownError: there is none.
    """
    folder = files("services.hotlist") / "mappings"
    known = sorted(
        item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")
    )
    if name not in known:
        raise MappingUnknownError(f"There is no mapping {name!r}: one of {', '.join(known)}.")
    data: dict[str, Any] = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    return Source(
        columns=data["columns"],
        code=data["code"],
        official=data["official"],
        codes={str(code).lower(): category for code, category in data["codes"].items()},
        actions=data["actions"],
        denied_reason=data["denied"]["reason"],
        denied_codes=frozenset(_code(str(code)) for code in data["denied"]["codes"]),
    )


def _code(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _plate(text: str) -> str:
    if _UNKNOWN_MARKS & set(text) or text.replace(" ", "").upper() in _NO_PLATE:
        raise DroppedError("partial plate")
    try:
        plate = normalize(text)
    except PlateError as error:
        raise DroppedError("bad plate") from error
    if len(plate) < 2:
        raise DroppedError("partial plate")
    return plate


def _expiry(text: str, now: datetime, max_days: int) -> datetime:
    latest = now + timedelta(days=max_days)
    if not text:
        return latest
    try:
        expires_at = datetime.fromisoformat(text)
    except ValueError as error:
        raise DroppedError("bad expiry") from error
    expires_at = expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=UTC)
    if not now < expires_at:
        raise DroppedError("expired")
    return min(expires_at, latest)
