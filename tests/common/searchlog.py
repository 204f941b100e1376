"""Months of a department's searches with misuse planted in them: the patterns of survey section 4 at several intensities, some with
cover (a colleague's look now and then, a case number borrowed from the unit). The detectors know nothing of this module.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tests.common.searchlog_work import Maker, Officer, Plant, SearchLog


class _Misuse:
    """Plants, each by an officer of his own."""

    def __init__(self, maker: Maker) -> None:
        self.maker, self.rng = maker, maker.rng
        self.who = maker.rng.sample(maker.officers, len(maker.officers))
        self.plants: list[Plant] = []
        self.protected: set[str] = set()

    def _plant(self, detector: str, kind: str) -> tuple[Plant, Officer]:
        officer = self.who.pop()
        plant = Plant(detector, kind, officer.member_id)
        self.plants.append(plant)
        return plant, officer

    def _follow(
        self,
        plant: Plant,
        officer: Officer,
        plates: dict[str, int],
        days: int,
        *,
        case: str = "",
        off_duty: float = 0.2,
        vague: float = 0.8,
    ) -> None:
        first = self.rng.randrange(15, max(16, self.maker.days - days))
        for plate, count in plates.items():
            for _ in range(count):
                day = first + self.rng.randrange(days)
                at = self._idle(officer, day) if self.rng.random() < off_duty else self._working(officer, day)
                for other in (plate, *(p for p in plates if p != plate and self.rng.random() < 0.25)):
                    if (
                        other != plate
                        and sum(1 for look, p in self.maker.rows if p is plant and look.plate == other)
                        >= plates[other]
                    ):
                        continue
                    self.maker.add(
                        officer,
                        at,
                        other,
                        offence="robbery",
                        case=case,
                        reason=self.maker.reason(at, vague),
                        plant=plant,
                    )
                    at += timedelta(minutes=self.rng.uniform(0.5, 6))

    def _working(self, officer: Officer, day: int) -> datetime:
        while not officer.days(day):
            day += 1
        return self.maker.on_duty(officer, day)

    def _idle(self, officer: Officer, day: int) -> datetime:
        hour = officer.start_on(day) + officer.hours + self.rng.uniform(4, 24 - officer.hours - 4)
        return self.maker.start + timedelta(days=day, hours=hour)

    def all(self) -> None:
        m, r = self.maker, self.rng
        self._follow(
            *self._plant("repeat-target", "179 searches of two plates in a month"),
            {m.plate(): 110, m.plate(): 69},
            30,
            off_duty=0.1,
            vague=1,
        )
        self._follow(
            *self._plant("household-cluster", "69, 24 and 15"),
            {m.plate(): 69, m.plate(): 24, m.plate(): 15},
            60,
        )
        self._follow(*self._plant("household-cluster", "a family, under one case number"),
                     {m.plate(): r.randrange(8, 14), m.plate(): r.randrange(7, 10), m.plate(): r.randrange(6, 9)}, 35, case="26-009911", vague=0.3)  # fmt: skip
        self._follow(
            *self._plant("repeat-target", "one plate, quietly"), {m.plate(): r.randrange(11, 19)}, 38
        )
        self._follow(
            *self._plant("repeat-target", "one plate, under a case that nobody knows"),
            {m.plate(): r.randrange(22, 34)},
            36,
            case="26-009555",
            vague=0.2,
        )
        self._follow(
            *self._plant("off-duty", "at night, from home"),
            {m.plate(): r.randrange(7, 11)},
            30,
            off_duty=1,
            vague=0.5,
        )
        self._lone(*self._plant("isolated-session", "lone looks on days off"), r.randrange(5, 8))
        self._wide(*self._plant("wide-scope", "everything of a quarter"))
        self._vague(*self._plant("vague-reason", "investigation, again and again"))
        self._worn(*self._plant("case-reuse", "one case number as a pass"))
        self._covered(self._follow_with_cover())
        self._follow(*self._plant("repeat-target", "one plate, under the unit's own case"), {m.plate(): r.randrange(48, 80)}, 38, case=self._unit_case(), vague=0.2)  # fmt: skip
        self._everybody(*self._plant("case-reuse", "a number that everybody types"))
        plant, officer = self._plant("own-or-colleague", "a colleague's car")
        plate = m.plate()
        self.protected.add(plate)
        for _ in range(2):
            at = self._working(officer, r.randrange(20, m.days - 8))
            m.add(officer, at, plate, offence="assault", case="", reason=m.reason(at, 0.5), plant=plant)

    def _follow_with_cover(self) -> str:
        plate = self.maker.plate()
        plant, officer = self._plant("repeat-target", "one plate; colleagues look now and then")
        self._follow(plant, officer, {plate: self.rng.randrange(30, 70)}, 40)
        return plate

    def _covered(self, plate: str) -> None:
        """Two looks at a plate by colleagues who have a reason of their own."""
        times = [look.at for look, _ in self.maker.rows if look.plate == plate]
        for officer in self.rng.sample(self.maker.officers, 2):
            day = (self.rng.choice(times) - self.maker.start).days
            at = self._working(officer, day)
            self.maker.add(
                officer,
                at,
                plate,
                offence="assault",
                case=f"E26{at:%j}-0001",
                reason=self.maker.reason(at, 0),
            )

    def _unit_case(self) -> str:
        """A case number that several members really use."""
        people: dict[str, set[str]] = {}
        for look, _ in self.maker.rows:
            if look.case_number.startswith("26-"):
                people.setdefault(look.case_number, set()).add(look.member_id)
        return self.rng.choice(sorted(case for case, who in people.items() if len(who) >= 3))

    def _everybody(self, plant: Plant, officer: Officer) -> None:
        first = self.rng.randrange(15, self.maker.days - 40)
        for n in range(self.rng.randrange(45, 70)):
            who = officer if n % 5 == 0 else self.rng.choice(self.maker.officers)
            at = self._working(who, first + self.rng.randrange(34))
            self.maker.add(
                who,
                at,
                self.maker.plate(),
                offence="robbery",
                case="26-000100",
                reason=self.maker.reason(at, 0.2),
                plant=plant,
            )

    def _lone(self, plant: Plant, officer: Officer, count: int) -> None:
        plate, day = self.maker.plate(), self.rng.randrange(20, self.maker.days - 45)
        for _ in range(count):
            day += self.rng.randrange(2, 6)
            while officer.days(day) or officer.days(day - 1):
                day += 1
            at = self.maker.start + timedelta(days=day, hours=self.rng.uniform(9, 21))
            self.maker.add(
                officer,
                at,
                plate,
                offence="robbery",
                case="26-009777",
                reason=self.maker.reason(at, 0.3),
                plant=plant,
            )

    def _wide(self, plant: Plant, officer: Officer) -> None:
        first = self.rng.randrange(20, self.maker.days - 30)
        for _ in range(self.rng.randrange(4, 9)):
            at = self._working(officer, first + self.rng.randrange(20))
            self.maker.add(officer, at, self.maker.plate(), offence="narcotics", case="26-003100", reason=self.maker.reason(at, 0.2), plant=plant,
                           span=self.rng.uniform(75, 180), agencies=self.rng.choice((0, 40, 64)))  # fmt: skip

    def _vague(self, plant: Plant, officer: Officer) -> None:
        first = self.rng.randrange(15, self.maker.days - 30)
        word = self.rng.choice(("investigation", ".", "inv", "police business", "lpr check"))
        for look, other in list(self.maker.rows):
            if (
                look.member_id == officer.member_id
                and other is None
                and first <= (look.at - self.maker.start).days < first + 30
            ):
                self.maker.rows.remove((look, other))
                self.maker.rows.append((replace(look, reason=word), plant))
        for _ in range(14):
            at = self._working(officer, first + self.rng.randrange(25))
            self.maker.add(
                officer, at, self.maker.plate(), offence="robbery", case="", reason=word, plant=plant
            )

    def _worn(self, plant: Plant, officer: Officer) -> None:
        first = self.rng.randrange(15, self.maker.days - 40)
        for _ in range(self.rng.randrange(20, 32)):
            at = self._working(officer, first + self.rng.randrange(34))
            self.maker.add(
                officer,
                at,
                self.maker.plate(),
                offence="vehicle-theft",
                case="26-001234",
                reason=self.maker.reason(at, 0.2),
                plant=plant,
            )


def generate(seed: int, *, days: int = 120, officers: int = 60) -> SearchLog:
    """Return a log of so many days."""
    maker = Maker(seed, days, officers)
    maker.work()
    misuse = _Misuse(maker)
    misuse.all()
    rows = sorted(maker.rows, key=lambda row: row[0].at)
    looks = []
    for index, (look, plant) in enumerate(rows):
        looks.append(replace(look, index=index))
        if plant is not None:
            plant.indexes.add(index)
    return SearchLog(looks, misuse.plants, misuse.protected)
