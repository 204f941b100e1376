"""Detectors of somebody who is followed: one plate again and again, a household, a colleague.

The patterns are those of Milwaukee (179 searches of two plates in a month, reason "investigation", found by the victim) and
Orange City (69, 24 and 15 searches of a former partner, her mother and father). What tells them from work: nobody else looks at the
plate, the looks are spread over many days, and no case explains them or the case is nobody else's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from datetime import timedelta

from services.audit.looks import Look
from services.audit.misuse.flags import Flag, Once, Recent, days_of, make_flag

_WINDOW = timedelta(days=45)


class _Attention:
    """Who looks at which plate, and who else works on the case that is named."""

    def __init__(self) -> None:
        self.by: dict[tuple[str, str], Recent] = defaultdict(lambda: Recent(_WINDOW))
        self.watchers: dict[str, dict[str, Look]] = defaultdict(dict)
        self.colleagues: dict[str, dict[str, Look]] = defaultdict(dict)

    def add(self, look: Look) -> list[Look]:
        """Take a look; return this member's looks at this plate in the window."""
        self.watchers[look.plate][look.member_id] = look
        if look.case_number:
            self.colleagues[look.case_number][look.member_id] = look
        return list(self.by[look.member_id, look.plate].add(look))

    def alone(self, look: Look, looks: Iterable[Look]) -> bool:
        """Whether nobody else looked at the plate lately, nor worked on a case that was named."""
        since = look.at - _WINDOW
        others = any(m != look.member_id and x.at >= since for m, x in self.watchers[look.plate].items())
        cases = {x.case_number for x in looks if x.case_number}
        shared = any(
            m != look.member_id and x.at >= since for case in cases for m, x in self.colleagues[case].items()
        )
        return not others and not shared


class RepeatTarget:
    """One member, one plate, again and again."""

    name = "repeat-target"

    def __init__(
        self, *, least: int = 6, least_with_case: int = 18, least_days: int = 4, least_days_with_case: int = 7
    ) -> None:
        self._without, self._with = (least, least_days), (least_with_case, least_days_with_case)
        self._attention = _Attention()
        self._once = Once()

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when the looks at this plate are more than work explains."""
        if not look.plate:
            return
        looks = self._attention.add(look)
        without = sum(1 for x in looks if not x.case_number)
        days = days_of(looks)
        unexplained = without >= self._without[0] and days >= self._without[1]
        worn = len(looks) >= self._with[0] and days >= self._with[1]
        if not (unexplained or worn) or not self._attention.alone(look, looks):
            return
        if self._once.tell((look.member_id, look.plate), len(looks)):
            case = (
                "no case named"
                if without == len(looks)
                else f"{without} without a case, no colleague on the case"
            )
            yield make_flag(
                self.name, look, look.plate, f"the same plate {len(looks)} times on {days} days, {case}, and nobody else looked at it", looks
            )  # fmt: skip


class HouseholdCluster:
    """One member, several plates that belong together, again and again."""

    name = "household-cluster"

    def __init__(self, *, plates: int = 3, looks_each: int = 4, least_days: int = 3) -> None:
        self._plates, self._looks_each, self._least_days = plates, looks_each, least_days
        self._attention = _Attention()
        self._of: dict[str, set[str]] = defaultdict(set)
        self._once = Once()

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when several plates are each watched by this member alone, in the same sittings."""
        if not look.plate:
            return
        mine = self._of[look.member_id]
        looks = self._attention.add(look)
        if (
            len(looks) < self._looks_each
            or days_of(looks) < self._least_days
            or not self._attention.alone(look, looks)
        ):
            mine.discard(look.plate)
            return
        mine.add(look.plate)
        watched = {p: self._lately(look, p) for p in mine}
        watched = {
            p: x for p, x in watched.items() if len(x) >= self._looks_each and self._together(x, watched, p)
        }
        if len(watched) >= self._plates and look.plate in watched:
            every = sorted((x for group in watched.values() for x in group), key=lambda x: x.at)
            if self._once.tell((look.member_id, str(len(watched))), len(every)):
                counts = ", ".join(str(n) for n in sorted(map(len, watched.values()), reverse=True))
                yield make_flag(
                    self.name, look, "+".join(sorted(watched)),
                    f"{len(watched)} plates that nobody else looks at, {counts} times, in the same sittings", every,
                )  # fmt: skip

    def _lately(self, look: Look, plate: str) -> list[Look]:
        return self._attention.by[look.member_id, plate].since(look.at - _WINDOW)

    def _together(self, looks: list[Look], watched: dict[str, list[Look]], plate: str) -> bool:
        """Whether the plate was looked at within a quarter of an hour of another watched one, at least twice."""
        near = 0
        for other, theirs in watched.items():
            if other != plate:
                near += sum(
                    1 for x in looks if any(abs((x.at - y.at).total_seconds()) <= 900 for y in theirs)
                )
        return near >= 2


class ProtectedPlate:
    """A plate that no member may look at on his own account: members' own, their families', canaries."""

    name = "own-or-colleague"

    def __init__(self, protected: Container[bytes], digest: object = None) -> None:
        self._protected = protected
        self._digest = digest

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag at the first look."""
        if look.plate and callable(self._digest) and self._digest(look.plate) in self._protected:
            yield make_flag(
                self.name,
                look,
                look.plate,
                "a plate of the protected list (members, families, canaries) was looked at",
                [look],
            )
