"""What a detector says, and what every detector stands on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
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


class Recent:
    """The looks of a window of time, oldest first."""

    __slots__ = ("_looks", "_window")

    def __init__(self, window: timedelta) -> None:
        self._window = window
        self._looks: deque[Look] = deque()

    def add(self, look: Look) -> deque[Look]:
        """Take a look, drop what is too old, return the rest."""
        self._looks.append(look)
        while self._looks[0].at < look.at - self._window:
            self._looks.popleft()
        return self._looks

    def since(self, at: datetime) -> list[Look]:
        """Return the looks from an instant on."""
        return [look for look in self._looks if look.at >= at]


def days_of(looks: Iterable[Look]) -> int:
    """On how many days the looks happened (UTC)."""
    return len({look.at.date() for look in looks})


def make_flag(detector: str, look: Look, subject: str, explanation: str, looks: Iterable[Look]) -> Flag:
    """A flag that this look completes."""
    return Flag(
        detector, look.agency_id, look.member_id, subject, look.at, explanation, tuple(x.index for x in looks)
    )


class Once:
    """Lets a pattern be flagged once, and again only when it has doubled."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, ...], int] = {}

    def tell(self, key: tuple[str, ...], size: int) -> bool:
        """Return whether a pattern of this size is news."""
        before = self._told.get(key, 0)
        if size < max(1, 2 * before):
            return False
        self._told[key] = size
        return True
