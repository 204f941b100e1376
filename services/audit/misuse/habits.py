"""Detectors of looks that do not fit the member's own work: at odd hours, alone, too wide, with nothing said, under a worn case number."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from services.audit.looks import Look
from services.audit.misuse.flags import Flag, Once, Recent, make_flag
from services.audit.misuse.words import is_vague

_MONTH = timedelta(days=30)


class _Sittings:
    """Splits a member's looks into sittings: a gap of an hour ends one."""

    def __init__(self, gap: timedelta = timedelta(minutes=60)) -> None:
        self._gap = gap
        self._open: dict[str, list[Look]] = {}
        self._before: dict[str, datetime] = {}

    def add(self, look: Look) -> tuple[list[Look], float] | None:
        """Take a look; return the sitting that it ends, and the hours that passed before and after it at least."""
        sitting = self._open.get(look.member_id)
        if sitting is None or look.at - sitting[-1].at <= self._gap:
            self._open.setdefault(look.member_id, []).append(look)
            return None
        self._open[look.member_id] = [look]
        before = self._before.get(look.member_id)
        self._before[look.member_id] = sitting[-1].at
        after_h = (look.at - sitting[-1].at).total_seconds() / 3600
        before_h = (sitting[0].at - before).total_seconds() / 3600 if before else after_h
        return sitting, min(before_h, after_h)


class OffDuty:
    """Short sittings at hours at which the member does not work, at a plate that he had looked at before or without a case."""

    name = "off-duty"

    def __init__(self, *, history: int = 25, share: float = 0.015, least: int = 2) -> None:
        self._history, self._share, self._least = history, share, least
        self._hours: dict[str, Counter[int]] = defaultdict(Counter)
        self._sittings = _Sittings()
        self._odd: dict[str, Recent] = defaultdict(lambda: Recent(_MONTH))
        self._seen: dict[tuple[str, str], int] = defaultdict(int)
        self._once = Once()

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when odd hours have become a habit."""
        ended = self._sittings.add(look)
        self._seen[look.member_id, look.plate] += 1
        if ended is not None:
            sitting, lonely_h = ended
            hours = self._hours[sitting[0].member_id]
            apart = lonely_h >= 3 and len(sitting) <= 3 and self._personal(sitting)
            if apart and self._off(hours, sitting[0].at):
                for x in sitting:
                    recent = self._odd[x.member_id].add(x)
                odd = list(recent)
                dates = {x.at.date() for x in odd}
                if len(dates) >= self._least and self._once.tell((look.member_id,), len(odd)):
                    yield make_flag(
                        self.name, sitting[-1], "", f"{len(odd)} looks on {len(dates)} days at hours at which this member otherwise does not "
                        f"work, each a sitting of its own", odd,
                    )  # fmt: skip
            elif not apart:
                # What might be misuse does not teach the detector that it is this member's rhythm.
                for x in sitting:
                    hours[x.at.hour] += 1

    def _off(self, hours: Counter[int], at: datetime) -> bool:
        total = hours.total()
        near = sum(hours[(at.hour + d) % 24] for d in (-1, 0, 1))
        return total >= self._history and near / total < 3 * self._share

    def _personal(self, sitting: list[Look]) -> bool:
        return all(not x.case_number or self._seen[x.member_id, x.plate] > 1 for x in sitting)


class IsolatedSession:
    """A lone look far from any other work, at the same plate more than once."""

    name = "isolated-session"

    def __init__(self, *, hours: float = 5, least: int = 3) -> None:
        self._hours, self._least = hours, least
        self._sittings = _Sittings()
        self._alone: dict[tuple[str, str], Recent] = defaultdict(lambda: Recent(timedelta(days=45)))
        self._others: dict[str, set[str]] = defaultdict(set)
        self._once = Once()

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when lone looks at a plate add up."""
        if look.plate:
            self._others[look.plate].add(look.member_id)
        ended = self._sittings.add(look)
        if ended is None:
            return
        sitting, lonely_h = ended
        plates = {x.plate for x in sitting if x.plate}
        if len(plates) != 1 or len(sitting) > 2 or lonely_h < self._hours:
            return
        plate = plates.pop()
        for x in sitting:
            alone = self._alone[x.member_id, plate].add(x)
        looks = list(alone)
        habit = len({x.at.date() for x in looks}) >= self._least and len(self._others[plate]) == 1
        if habit and self._once.tell((look.member_id, plate), len(looks)):
            yield make_flag(
                    self.name, sitting[-1], plate,
                    f"{len(looks)} looks at one plate, each alone and at least {self._hours:.0f} hours from any other work", looks,
                )  # fmt: skip


class WideScope:
    """Windows or networks far wider than anybody needs for one vehicle."""

    name = "wide-scope"

    def __init__(self, *, days: float = 60, agencies: int = 25, least: int = 2) -> None:
        self._days, self._agencies, self._least = days, agencies, least
        self._wide: dict[str, Recent] = defaultdict(lambda: Recent(_MONTH))
        self._once = Once()

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag at the second wide look in a month."""
        if look.span_days < self._days and look.agencies < self._agencies:
            return
        looks = list(self._wide[look.member_id].add(look))
        if len(looks) >= self._least and self._once.tell((look.member_id,), len(looks)):
            yield make_flag(
                self.name, look, "", f"{len(looks)} looks over {self._days:.0f} days or more, or {self._agencies} agencies or more, in a month",
                looks,
            )  # fmt: skip


class VagueReason:
    """Reasons that say nothing, as a habit."""

    name = "vague-reason"

    def __init__(self, *, least: int = 8, share: float = 0.6) -> None:
        self._least, self._share = least, share
        self._looks: dict[str, Recent] = defaultdict(lambda: Recent(_MONTH))
        self._once = Once()

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when most of a member's reasons of a month say nothing."""
        looks = self._looks[look.member_id].add(look)
        if len(looks) < self._least or not is_vague(look.reason, look.offence):
            return
        vague = [x for x in looks if is_vague(x.reason, x.offence)]
        habit = len(vague) >= max(self._least, self._share * len(looks))
        if habit and self._once.tell((look.member_id,), len(vague)):
            yield make_flag(
                    self.name, look, "", f"{len(vague)} of {len(looks)} reasons of a month say nothing, like {look.reason[:40]!r}", vague
                )  # fmt: skip


class CaseReuse:
    """One case number for many plates, by one member alone, or over more time than a case runs."""

    name = "case-reuse"

    def __init__(self, *, plates: int = 9, days: int = 10) -> None:
        self._plates, self._days = plates, days
        self._looks: dict[tuple[str, str], Recent] = defaultdict(lambda: Recent(timedelta(days=120)))
        self._members: dict[str, set[str]] = defaultdict(set)
        self._once = Once()

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when a case number has become a pass."""
        if not look.case_number:
            return
        self._members[look.case_number].add(look.member_id)
        looks = self._looks[look.member_id, look.case_number].add(look)
        plates, days = {x.plate for x in looks}, {x.at.date() for x in looks}
        if len(plates) < self._plates or len(days) < self._days or len(self._members[look.case_number]) > 1:
            return
        if self._once.tell((look.member_id, look.case_number), len(plates)):
            yield make_flag(
                self.name, look, look.case_number,
                f"one case number for {len(plates)} plates on {len(days)} days, and no colleague works on that case", looks,
            )  # fmt: skip
