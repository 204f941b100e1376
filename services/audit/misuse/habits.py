"""Detectors of looks that do not fit the member's own work: at odd hours, alone, too wide, with nothing said."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median

from services.audit.looks import Look
from services.audit.misuse.flags import Flag, Once, Windows, make_flag
from services.audit.misuse.targets import Attention
from services.audit.misuse.thresholds import Thresholds
from services.audit.misuse.words import is_vague

_MONTH = 30
_SITTING = timedelta(minutes=60)
_SHIFT_GAP = timedelta(hours=3)
_MOST_APART = 4


class _Sittings:
    """Splits a member's looks into sittings, which a gap ends."""

    def __init__(self, gap: timedelta) -> None:
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
    """Short sittings at hours at which the member does not work, at a plate that he had looked at before or without a case.

    The rhythm is what the member did in the last weeks, so that a change of shift is learned in days.
    """

    name = "off-duty"

    def __init__(self, attention: Attention, limits: Thresholds) -> None:
        self._attention, self._limits = attention, limits
        self._work = Windows(limits.off_duty_learn_days)
        self._odd = Windows(_MONTH)
        self._sittings = _Sittings(_SHIFT_GAP)
        self._once = Once(limits.told_again_at)

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when odd hours have become a habit."""
        ended = self._sittings.add(look)
        if ended is None:
            return
        sitting, _ = ended
        if len(sitting) > _MOST_APART or not self._personal(sitting):
            # What might be misuse does not teach the detector that it is this member's rhythm.
            for x in sitting:
                self._work.add(look.member_id, x)
            return
        hours = Counter(x.at.hour for x in self._work.get(look.member_id, sitting[-1].at))
        if not self._off(hours, sitting[0].at):
            return
        odd: list[Look] = []
        for x in sitting:
            odd = self._odd.add(look.member_id, x)
        # What looked odd in the first days of a new shift no longer does.
        odd = [x for x in odd if self._off(hours, x.at)]
        dates = {x.at.date() for x in odd}
        if self._habit(odd) and self._once.tell((look.member_id,), len(odd)):
            yield make_flag(
                self.name, sitting[-1], "", f"{len(odd)} looks on {len(dates)} days at hours at which this member otherwise does not "
                f"work, hours from any other work", odd,
            )  # fmt: skip

    def _habit(self, odd: list[Look]) -> bool:
        """On several days the same plate, or on more days any."""
        days = Counter(plate for plate, _ in {(x.plate, x.at.date()) for x in odd if x.plate})
        same, any_ = self._limits.off_duty_days, self._limits.off_duty_days_any_plate
        return max(days.values(), default=0) >= same or len({x.at.date() for x in odd}) >= any_

    def _off(self, hours: Counter[int], at: datetime) -> bool:
        total = hours.total()
        near = sum(hours[(at.hour + d) % 24] for d in (-1, 0, 1))
        return total >= self._limits.off_duty_history and near / total < 3 * self._limits.off_duty_share

    def _personal(self, sitting: list[Look]) -> bool:
        return all(
            not x.case_number or len(self._attention.looks(x.member_id, x.plate, sitting[-1])) > 1
            for x in sitting
        )


class IsolatedSession:
    """A lone look far from any other work, at the same plate more than once."""

    name = "isolated-session"

    def __init__(self, attention: Attention, limits: Thresholds) -> None:
        self._attention, self._limits = attention, limits
        self._sittings = _Sittings(_SITTING)
        self._alone = Windows(limits.window_days)
        self._once = Once(limits.told_again_at)

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when lone looks at a plate add up."""
        ended = self._sittings.add(look)
        if ended is None:
            return
        sitting, lonely_h = ended
        plates = {x.plate for x in sitting if x.plate}
        if len(plates) != 1 or len(sitting) > 2 or lonely_h < self._limits.isolated_hours:
            return
        plate = plates.pop()
        looks: list[Look] = []
        for x in sitting:
            looks = self._alone.add((x.member_id, plate), x)
        habit = len({x.at.date() for x in looks}) >= self._limits.isolated_days
        if (
            habit
            and self._attention.interest(sitting[-1]).alone
            and self._once.tell((look.member_id, plate), len(looks))
        ):
            yield make_flag(
                self.name, sitting[-1], plate,
                f"{len(looks)} looks at one plate, each alone and at least {self._limits.isolated_hours:.0f} hours from any other work", looks,
            )  # fmt: skip


class WideScope:
    """Windows far wider than anybody needs for one vehicle, or far more agencies than are usual in this log."""

    name = "wide-scope"

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._wide = Windows(_MONTH)
        self._usual: deque[int] = deque(maxlen=501)
        self._most = float(limits.wide_agencies)
        self._since = 0
        self._once = Once(limits.told_again_at)

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag at the second wide look in a month."""
        self._learn(look.agencies)
        if look.span_days < self._limits.wide_days and look.agencies < self._most:
            return
        looks = self._wide.add(look.member_id, look)
        if len(looks) >= self._limits.wide_looks and self._once.tell((look.member_id,), len(looks)):
            days, agencies = max(x.span_days for x in looks), max(x.agencies for x in looks)
            yield make_flag(
                self.name, look, "", f"{len(looks)} looks in a month over {self._limits.wide_days:.0f} days or more, or {self._most:.0f} agencies or more; "
                f"the widest over {days:.0f} days and {agencies:,} agencies", looks,
            )  # fmt: skip

    def _learn(self, agencies: int) -> None:
        """Where everybody asks thousands of networks, thousands are no sign of anything."""
        self._usual.append(agencies)
        self._since += 1
        if self._since >= 100 or len(self._usual) == 25:
            self._most = max(
                self._limits.wide_agencies, self._limits.wide_of_usual * float(median(self._usual))
            )
            self._since = 0


class VagueReason:
    """Reasons that say nothing, as a habit."""

    name = "vague-reason"

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._looks, self._vague = Windows(_MONTH), Windows(_MONTH)
        self._once = Once(limits.told_again_at)

    def see(self, look: Look) -> Iterable[Flag]:
        """Return a flag when most of a member's reasons of a month say nothing."""
        looks = self._looks.add(look.member_id, look)
        if not is_vague(look.reason, look.offence):
            return
        vague = self._vague.add(look.member_id, look)
        habit = len(vague) >= max(self._limits.vague_looks, self._limits.vague_share * len(looks))
        if habit and self._once.tell((look.member_id,), len(vague)):
            yield make_flag(
                self.name, look, "", f"{len(vague)} of {len(looks)} reasons of a month say nothing, like {look.reason[:40]!r}", vague
            )  # fmt: skip
