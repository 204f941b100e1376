"""What a detector says, and what every detector stands on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.audit.looks import Look


@dataclass(frozen=True, slots=True)
class Flag:
    """A pattern that a person should look into: who, why in one sentence, which entries.

    ``subject`` is what the pattern is about (a plate, a case), so that the same pattern is flagged once and not at every look.
    """

    detector: str
    agency_id: str
    member_id: str
    subject: str
    at: datetime
    explanation: str
    indexes: tuple[int, ...]


class Detector(Protocol):
    """Sees looks in order of time; keeps bounded state."""

    name: str

    def see(self, look: Look) -> Iterable[Flag]:
        """Return what this look completes."""
        ...


class Windows:
    """The looks of a window of time for each key, oldest first: what is older is dropped, and so are keys without any.

    A key holds at most ``MOST`` looks; beyond them its oldest go. A list that is returned is read, never changed.
    """

    MOST = 2000

    def __init__(self, days: float) -> None:
        self._window = timedelta(days=days)
        self._looks: dict[Hashable, list[Look]] = {}
        self._swept = self._kept = 0

    def add(self, key: Hashable, look: Look) -> list[Look]:
        """Take a look; return all of the key's."""
        looks = self._looks.setdefault(key, [])
        looks.append(look)
        since = look.at - self._window
        old = 0
        while looks[old].at < since:
            old += 1
        del looks[: max(old, len(looks) - self.MOST)]
        self._swept += 1
        if self._swept > max(4096, self._kept):
            self._looks = {k: v for k, v in self._looks.items() if v[-1].at >= since}
            self._swept, self._kept = 0, len(self._looks)
        return looks

    def get(self, key: Hashable, now: datetime) -> list[Look]:
        """Return the key's looks of the window that ends now."""
        since = now - self._window
        return [look for look in self._looks.get(key, ()) if look.at >= since]


def days_of(looks: Iterable[Look]) -> int:
    """On how many days the looks happened (UTC)."""
    return len({look.at.date() for look in looks})


def make_flag(detector: str, look: Look, subject: str, explanation: str, looks: Iterable[Look]) -> Flag:
    """A flag that this look completes."""
    return Flag(
        detector, look.agency_id, look.member_id, subject, look.at, explanation, tuple(x.index for x in looks)
    )


class Once:
    """Lets a pattern be told once, and again only when it has grown by a factor: 2, unless a whole file is looked at and its end counts."""

    def __init__(self, growth: float = 2) -> None:
        self._growth = growth
        self._told: dict[tuple[str, ...], int] = {}

    def tell(self, key: tuple[str, ...], size: int) -> bool:
        """Return whether a pattern of this size is news."""
        before = self._told.get(key, 0)
        if size < max(1, self._growth * before) or size == before:
            return False
        self._told[key] = size
        return True
