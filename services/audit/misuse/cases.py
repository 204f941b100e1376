"""Detector of case numbers that have become a pass: one member's for whatever he likes, or a number that everybody types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from services.audit.looks import Look
from services.audit.misuse.flags import Flag, Once, Windows, days_of, make_flag
from services.audit.misuse.thresholds import Thresholds


class CaseReuse:
    """One case number for many plates that nothing else ties together."""

    name = "case-reuse"

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._cases = Windows(limits.case_window_days)
        self._once = Once(limits.told_again_at)

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when a case number has become a pass."""
        if not look.case_number:
            return
        looks, t = self._cases.add(look.case_number, look), self._limits
        if len(looks) < t.case_plates:
            return
        mine = [x for x in looks if x.member_id == look.member_id]
        plates = {x.plate for x in mine}
        alone = len(looks) - len(mine) < max(1.0, t.others_share * len(mine))
        if alone and len(plates) >= t.case_plates and days_of(mine) >= t.case_days:
            if self._once.tell((look.member_id, look.case_number), len(plates)):
                yield make_flag(
                    self.name, look, look.case_number,
                    f"one case number for {len(plates)} plates on {days_of(mine)} days, and hardly any colleague works on that case", mine,
                )  # fmt: skip
        elif not alone:
            yield from self._everybody(look, looks)

    def _everybody(self, look: Look, looks: list[Look]) -> Iterable[Flag]:
        """A number under which many members look at plates that no second look ever comes back to."""
        t = self._limits
        members, plates = Counter(x.member_id for x in looks), {x.plate for x in looks}
        scattered = len(plates) >= t.case_everybody_plates and len(
            plates
        ) >= t.case_everybody_new_share * len(looks)
        if (
            scattered
            and len(members) >= t.case_everybody_members
            and self._once.tell((look.case_number,), len(plates))
        ):
            yield make_flag(
                self.name, look, look.case_number,
                f"one case number for {len(plates)} plates by {len(members)} members, hardly a plate twice; {members[look.member_id]} of the looks are this member's",
                looks,
            )  # fmt: skip
