"""Rows of a source's file → entries of a list, by a mapping that is data. Pure: text in, rows and reasons out.

Rules
-----
1. What is denied (immigration, Gov. Code 7284.6) is looked at first and dropped, whatever else the row says.
2. The category follows from the code, the most that may be done from the category. Stored, impounded, repossessed and lost
   never lead to a stop, whatever a mapping says. A code or category that nobody decided about is dropped (official lists)
   or a lead at most (the agency's own file).
3. A partial plate is no official entry.
4. A row of the agency's own file needs its reason and expires, at most so many days ahead.
5. Each drop has a reason and is counted; nothing is dropped unseen.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from plates.normal import PlateError, normalize
from plateward.common.v1 import recognition_pb2
from plateward.hotlist.v1 import hit_pb2

NEVER_A_STOP = frozenset({"stored-vehicle", "impounded-vehicle", "repossessed-vehicle", "lost-plate"})
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
    "CAR": recognition_pb2.VEHICLE_TYPE_CAR, "PK": recognition_pb2.VEHICLE_TYPE_TRUCK, "TK": recognition_pb2.VEHICLE_TYPE_TRUCK,
    "TR": recognition_pb2.VEHICLE_TYPE_TRUCK, "TRUCK": recognition_pb2.VEHICLE_TYPE_TRUCK, "BU": recognition_pb2.VEHICLE_TYPE_BUS,
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
    denied_words: tuple[str, ...]

    def header(self, line: str) -> list[str]:
        """Return the columns that a file's first line names.

        Raises:
            ValueError: the column of the plate or of the code is not among them.
        """
        names = [name.strip() for name in next(csv.reader([line.removeprefix("\ufeff")]), [])]
        if self.columns["plate"] not in names or not set(self.code) & set(names):
            raise ValueError(
                f"The first line must name the columns, {self.columns['plate']} and {' or '.join(self.code)} among them: "
                "send the file with its header, or choose the mapping that fits it."
            )
        return names

    def row(self, names: Sequence[str], line: str, now: datetime, max_days: int) -> Row:
        """Return a line as an entry.

        Raises:
            DroppedError: it is none, with the reason.
        """
        values = next(csv.reader([line]), [])
        if len(values) != len(names):
            raise DroppedError("malformed")
        cells = dict(zip(names, (value.strip() for value in values), strict=True))
        codes = [cells[name] for name in self.code if cells.get(name)]
        if self._is_denied(codes, cells):
            raise DroppedError(self.denied_reason)
        category = self._category(codes)
        plate = _plate(self._cell(cells, "plate"))
        state = _state(self._cell(cells, "state"))
        reason = self._reason(cells, category)
        expires_at = _OPEN_END if self.official else _expiry(self._cell(cells, "expires"), now, max_days)
        colour = self._cell(cells, "colour")
        content = (
            plate, state, int(_KINDS.get(self._cell(cells, "vehicle").upper(), 0)),
            _COLOURS.get(colour.upper()[:3], colour.lower() if colour.isascii() and colour.isalpha() else "")[:16],
            category, reason[:500], self._cell(cells, "case_number")[:64], expires_at, int(self._most(category)),
        )  # fmt: skip
        key = self._cell(cells, "key") or f"{plate}|{state}|{category}"
        return Row(key[:128], hashlib.sha256(repr(content).encode()).hexdigest()[:32], *content)

    def _cell(self, cells: Mapping[str, str], what: str) -> str:
        return cells.get(self.columns.get(what, ""), "")

    def _is_denied(self, codes: Sequence[str], cells: Mapping[str, str]) -> bool:
        words = (
            " ".join([*codes, *(value for value in cells.values())])
            .lower()
            .replace("-", " ")
            .replace("_", " ")
        )
        return any(code.lower() in self.denied_codes for code in codes) or any(
            f" {word} " in f" {words} " for word in self.denied_words
        )

    def _category(self, codes: Sequence[str]) -> str:
        for code in codes:
            found = self.codes.get(code.lower())
            if found:
                return found
        if self.official or not codes:
            raise DroppedError("unknown code")
        return codes[0].lower().replace(" ", "-")[:64]

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
        most = _ACTIONS[self.actions.get(category, "lead")]
        if category in NEVER_A_STOP or not self.official:
            return min(most, hit_pb2.MAX_ACTION_LEAD)
        return most


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
        denied_codes=frozenset(str(code).lower() for code in data["denied"]["codes"]),
        denied_words=tuple(data["denied"]["words"]),
    )


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


def _state(text: str) -> str:
    """Two letters are a state of the US; a country and subdivision stay (ISO 3166-2); anything else is unknown."""
    text = text.upper()
    country, dash, part = text.partition("-")
    if len(text) == 2 and text.isascii() and text.isalpha():
        return f"US-{text}"
    fits = dash and len(country) == 2 and country.isascii() and country.isalpha()
    return text if fits and 0 < len(part) <= 3 and part.isascii() and part.isalnum() else ""


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
