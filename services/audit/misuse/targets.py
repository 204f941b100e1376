"""Detectors of somebody who is followed: one plate again and again, a household, a colleague.

The patterns are those of Milwaukee (179 searches of two plates in a month, reason "investigation", found by the victim) and
Orange City (69, 24 and 15 searches of a former partner, her mother and father). What tells them from work: hardly anybody else looks at
the plate, the looks are spread over many days, and no case explains them or the case is nobody else's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import timedelta

from services.audit.looks import Look
from services.audit.misuse.flags import Flag, Once, Windows, days_of, make_flag
from services.audit.misuse.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class Interest:
    """One member's looks at one plate in the window, and how far others and cases explain them."""

    mine: list[Look]
    without_case: list[Look]
    shared: int
    others: int
    alone: bool


class Attention:
    """Who looks at which plate, and under which case: what several detectors ask. It is shown every look first."""

    def __init__(self, limits: Thresholds) -> None:
        self._others_share = limits.others_share
        self._plates = Windows(limits.window_days)
        self._cases = Windows(limits.window_days)
        self._members = Windows(limits.window_days)
        self._limits = limits

    def see(self, look: Look) -> None:
        """Take a look."""
        self._members.add(look.member_id, look)
        if look.plate:
            self._plates.add(look.plate, look)
        if look.case_number:
            self._cases.add(look.case_number, look)

    def looks(self, member_id: str, plate: str, now: Look) -> list[Look]:
        """Return a member's looks at a plate."""
        return [x for x in self._plates.get(plate, now.at) if x.member_id == member_id]

    def interest(self, look: Look) -> Interest:
        """Return what this look belongs to. A look by another member now and then does not make it work."""
        every = self._plates.get(look.plate, look.at)
        mine = [x for x in every if x.member_id == look.member_id]
        others = len(every) - len(mine)
        cases = {x.case_number for x in mine if x.case_number}
        known = {case for case in cases if self._colleagues(case, look)}
        return Interest(
            mine=mine, without_case=[x for x in mine if not x.case_number], shared=sum(1 for x in mine if x.case_number in known),
            others=others, alone=others < max(1.0, self._others_share * len(mine)),
        )  # fmt: skip

    def from_a_list(self, looks: list[Look]) -> bool:
        """Whether the looks belong to a list of open cases that is run through again and again: other plates under other cases, in a row."""
        together, needed = (
            timedelta(seconds=self._limits.household_together_s),
            self._limits.list_share * len(looks),
        )
        every = self._members.get(looks[-1].member_id, looks[-1].at)
        within = 0
        for x in looks:
            first = bisect_left(every, x.at - together, key=lambda y: y.at)
            last = bisect_right(every, x.at + together, key=lambda y: y.at)
            others = {y.case_number for y in every[first:last] if y.case_number and y.plate != x.plate}
            within += bool(x.case_number) and len(others - {x.case_number}) >= self._limits.list_cases
        return within >= needed

    def _colleagues(self, case: str, look: Look) -> bool:
        return any(x.member_id != look.member_id for x in self._cases.get(case, look.at))


class RepeatTarget:
    """One member, one plate, again and again."""

    name = "repeat-target"

    def __init__(self, attention: Attention, limits: Thresholds) -> None:
        self._attention, self._limits = attention, limits
        self._once = Once(limits.told_again_at)

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when the looks at this plate are more than work explains."""
        if not look.plate:
            return
        found = self._attention.interest(look)
        case = self._unexplained(found) if found.alone else ""
        if (
            case
            and not self._attention.from_a_list(found.mine)
            and self._once.tell((look.member_id, look.plate), len(found.mine))
        ):
            nobody = (
                f"others looked at it {found.others} times" if found.others else "nobody else looked at it"
            )
            yield make_flag(
                self.name, look, look.plate, f"the same plate {len(found.mine)} times on {days_of(found.mine)} days, {case}, and {nobody}", found.mine
            )  # fmt: skip

    def _unexplained(self, found: Interest) -> str:
        """What the cases say, when it is not enough."""
        t, looks, bare = self._limits, found.mine, found.without_case
        mostly_shared = 2 * found.shared >= len(looks)
        if len(bare) >= t.repeat_no_case and days_of(bare) >= t.repeat_no_case_days and not mostly_shared:
            return "no case named" if len(bare) == len(looks) else f"{len(bare)} times without a case"
        if len(looks) >= t.repeat_own_case and days_of(looks) >= t.repeat_own_case_days and not mostly_shared:
            return "under a case that no colleague works on"
        if len(looks) >= t.repeat_shared_case and days_of(looks) >= t.repeat_shared_case_days:
            return "under a case in which only this member looks at it"
        return ""


class HouseholdCluster:
    """One member, several plates that belong together, again and again."""

    name = "household-cluster"

    def __init__(self, attention: Attention, limits: Thresholds) -> None:
        self._attention, self._limits = attention, limits
        self._of: dict[str, set[str]] = defaultdict(set)
        self._once = Once(limits.told_again_at)

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when several plates are each watched by this member alone, in the same sittings."""
        if not look.plate:
            return
        mine, t = self._of[look.member_id], self._limits
        found = self._attention.interest(look)
        enough = len(found.mine) >= t.household_looks_each and days_of(found.mine) >= t.household_days
        if not enough or not found.alone or 2 * found.shared >= len(found.mine):
            mine.discard(look.plate)
            return
        mine.add(look.plate)
        if len(mine) < t.household_plates:
            return
        watched = {p: self._attention.looks(look.member_id, p, look) for p in mine}
        for plate in [p for p, looks in watched.items() if len(looks) < t.household_looks_each]:
            mine.discard(plate)
            del watched[plate]
        watched = {p: looks for p, looks in watched.items() if self._together(looks, watched, p)}
        if len(watched) >= t.household_plates and look.plate in watched:
            watched = {p: looks for p, looks in watched.items() if not self._attention.from_a_list(looks)}
        if len(watched) >= t.household_plates and look.plate in watched:
            every = sorted((x for group in watched.values() for x in group), key=lambda x: x.at)
            if self._once.tell((look.member_id,), len(every)):
                counts = ", ".join(str(n) for n in sorted(map(len, watched.values()), reverse=True))
                yield make_flag(
                    self.name, look, "+".join(sorted(watched)),
                    f"{len(watched)} plates that hardly anybody else looks at, {counts} times, in the same sittings", every,
                )  # fmt: skip

    def _together(self, looks: list[Look], watched: dict[str, list[Look]], plate: str) -> bool:
        """Whether the plate was looked at within a quarter of an hour of another watched one, at least twice."""
        near = 0
        for other, theirs in watched.items():
            if other != plate:
                near += sum(
                    1
                    for x in looks
                    if any(
                        abs((x.at - y.at).total_seconds()) <= self._limits.household_together_s
                        for y in theirs
                    )
                )
        return near >= 2


class ProtectedPlate:
    """A plate that no member may look at on his own account: members' own, their families', canaries."""

    name = "own-or-colleague"

    def __init__(self, protected: Container[bytes], digest: Callable[[str], bytes] | None) -> None:
        self._protected, self._digest = protected, digest

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag at the first look."""
        if look.plate and self._digest is not None and self._digest(look.plate) in self._protected:
            yield make_flag(
                self.name, look, look.plate, "a plate of the protected list (members, families, canaries) was looked at", [look]
            )  # fmt: skip
