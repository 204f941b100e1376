"""A department's searches, as realistic as we can make them: shifts that rotate, days off, call-outs at odd hours, cases with their plates
and their people, stake-outs by one detective alone, stolen cars that everybody runs, an auto-theft detective who runs his whole list
again every morning, trouble cars of a beat, officers who write little.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.audit.looks import Look

OFFENCES = (
    "vehicle-theft",
    "robbery",
    "burglary",
    "hit-and-run",
    "missing-person",
    "homicide",
    "assault",
    "narcotics",
)
_COLOURS = ("silver", "black", "white", "red", "blue", "grey", "green")
_CARS = ("Accord", "Camry", "F-150", "Civic", "Tahoe", "Altima", "Corolla", "Mustang", "Silverado", "Charger")
_PLACES = (
    "Laguna Blvd",
    "Elk Grove Blvd",
    "Sheldon Rd",
    "Bond Rd",
    "Highway 99",
    "Franklin Blvd",
    "Bruceville Rd",
    "Calvine Rd",
)
_TOLD = (
    "{colour} {car} seen leaving {place} at {hour}:{minute:02}", "victim's {car} taken from {place}", "suspect fled in {colour} {car} toward {place}",
    "witness gave partial, {colour} {car}", "owner of {car} located near {place}", "{car} used in two earlier incidents, last on {place}",
    "BOLO {colour} {car}, last camera {place}", "follow vehicle of suspect from {place}",
)  # fmt: skip
_SHORT = ("investigation", "inv", ".", "follow up", "check", "lpr", "suspect vehicle")


@dataclass
class Officer:
    """A member and when he works: hours of the day, and which days."""

    member_id: str
    unit: str
    start: int
    hours: int
    days: Callable[[int], bool]
    rate: float
    terse: float
    turns: int = 0
    later: int = 0

    def start_on(self, day: int) -> int:
        """When the shift begins on a day: rotating members change every so many days."""
        return self.later if self.turns and (day // self.turns) % 2 else self.start


@dataclass
class Case:
    """A case: its plates, its people, its span in days of the log."""

    number: str
    offence: str
    plates: list[str]
    people: list[Officer]
    first: int
    last: int
    weight: float = 1.0


@dataclass
class Plant:
    """A planted misuse: which detector must find it, whose it is, which looks are it."""

    detector: str
    kind: str
    member_id: str
    indexes: set[int] = field(default_factory=set)


@dataclass
class SearchLog:
    """The looks in order of time, and what was planted."""

    looks: list[Look]
    plants: list[Plant]
    protected: set[str]


class Maker:
    def __init__(self, seed: int, days: int, officers: int) -> None:
        self.rng = random.Random(seed)
        self.days = days
        self.start = datetime(2026, 6, 1, tzinfo=UTC)
        self.officers = [self._officer(i) for i in range(officers)]
        self.rows: list[tuple[Look, Plant | None]] = []

    def plate(self) -> str:
        letters = "".join(self.rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(3))
        return f"{self.rng.randrange(1, 10)}{letters}{self.rng.randrange(1000):03}"

    def reason(self, at: datetime, terse: float) -> str:
        if self.rng.random() < terse:
            return self.rng.choice(_SHORT)
        return self.rng.choice(_TOLD).format(
            colour=self.rng.choice(_COLOURS), car=self.rng.choice(_CARS), place=self.rng.choice(_PLACES), hour=at.hour, minute=at.minute
        )  # fmt: skip

    def add(
        self, officer: Officer, at: datetime, plate: str, *, offence: str, case: str, reason: str, plant: Plant | None = None,
        span: float = 7, agencies: int = 0,
    ) -> None:  # fmt: skip
        look = Look(
            0, at, "elk-grove-pd", "elk-grove-pd", officer.member_id, officer.member_id, f"desk-{officer.unit}", "search", plate,
            (("plate", plate),), offence, case, reason, attested=True, status="OK", rule="platform.allowed",
            result_count=self.rng.randrange(6), span_days=span, cameras=0, agencies=agencies,
        )  # fmt: skip
        self.rows.append((look, plant))

    def _officer(self, i: int) -> Officer:
        rng = self.rng
        terse = 0.3 if rng.random() < 0.05 else rng.uniform(0, 0.12)
        if i % 4 == 0:
            return Officer(
                f"m-{1000 + i}",
                "detectives",
                rng.choice((7, 8, 9)),
                9,
                lambda d: d % 7 < 5,
                rng.uniform(4, 11),
                terse,
            )
        offset, start = rng.randrange(8), rng.choice((6, 14, 18, 22))
        on, cycle = (4, 7) if start in (6, 14) else (4, 8)
        return Officer(
            f"m-{1000 + i}", rng.choice(("patrol", "patrol", "traffic")), start, 12 if start in (6, 18) else 10,
            lambda d, o=offset, n=on, c=cycle: (d + o) % c < n, rng.uniform(1.5, 5), terse,
            turns=28 if i % 7 == 3 else 0, later=(start + 12) % 24,
        )  # fmt: skip

    def on_duty(self, officer: Officer, day: int) -> datetime:
        minutes = self.rng.uniform(0, officer.hours * 60)
        return self.start + timedelta(days=day, hours=officer.start_on(day), minutes=minutes)

    def cases(self) -> list[Case]:
        made = []
        for number in range(int(self.days * 2.2)):
            first = self.rng.randrange(self.days)
            detectives = [o for o in self.officers if o.unit == "detectives"]
            people = self.rng.sample(detectives, self.rng.choice((1, 1, 2, 2, 3))) + self.rng.sample(
                self.officers, self.rng.choice((0, 0, 1, 2, 3))
            )
            made.append(
                Case(
                    f"26-{number + 3000:06}", self.rng.choice(OFFENCES), [self.plate() for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3, 4, 7)))],
                    people, first, first + int(self.rng.expovariate(1 / 12)) + 1, self.rng.choice((1, 1, 1, 3)),
                )
            )  # fmt: skip
        return made

    def work(self) -> None:
        cases = self.cases()
        for day in range(self.days):
            current = [c for c in cases if c.first <= day <= c.last]
            bolos = [self.plate() for _ in range(3)]
            for officer in self.officers:
                if not officer.days(day):
                    if self.rng.random() < 0.02:
                        self._call_out(officer, day, current)
                    continue
                for _ in range(self._count(officer.rate)):
                    self._one(officer, self.on_duty(officer, day), current, bolos)
                if self.rng.random() < 0.03:
                    self._call_out(officer, day, current)
        for _ in range(max(1, self.days // 20)):
            self._stake_out(cases)
        self._list_of_stolen_cars()
        for _ in range(max(2, len(self.officers) // 12)):
            self._trouble_car()

    def _list_of_stolen_cars(self) -> None:
        """One detective, alone on his cases, runs all of his open ones in a row on most mornings until each car is found."""
        detectives = [o for o in self.officers if o.unit == "detectives"]
        officer = self.rng.choice(detectives)
        cars: list[tuple[str, str, int]] = []
        for day in range(self.days):
            cars = [car for car in cars if car[2] > day]
            while len(cars) < 6:
                cars.append(
                    (
                        self.plate(),
                        f"26-7{self.rng.randrange(100000):05}",
                        day + 3 + int(self.rng.expovariate(1 / 18)),
                    )
                )
            if officer.days(day) and self.rng.random() < 0.8:
                at = self.on_duty(officer, day)
                for plate, case, _ in cars:
                    at += timedelta(seconds=self.rng.uniform(20, 100))
                    self.add(
                        officer,
                        at,
                        plate,
                        offence="vehicle-theft",
                        case=case,
                        reason=self.reason(at, officer.terse),
                        span=1,
                    )

    def _trouble_car(self) -> None:
        """A car of the beat that an officer runs whenever a call mentions it, each time for that call."""
        officer, plate = self.rng.choice(self.officers), self.plate()
        first = self.rng.randrange(max(1, self.days - 30))
        for _ in range(self.rng.randrange(4, 13)):
            day = first + self.rng.randrange(30)
            if officer.days(day):
                at = self.on_duty(officer, day)
                number = "" if self.rng.random() < 0.15 else f"E26{at:%j}-{self.rng.randrange(2000):04}"
                self.add(
                    officer, at, plate, offence="assault", case=number, reason=self.reason(at, officer.terse)
                )

    def _count(self, rate: float) -> int:
        # Work comes in bursts: some days nothing, some days much.
        return int(self.rng.expovariate(1 / rate)) if rate else 0

    def _one(self, officer: Officer, at: datetime, current: list[Case], bolos: list[str]) -> None:
        mine = [c for c in current if officer in c.people]
        if mine and self.rng.random() < 0.6:
            case = self.rng.choices(mine, [c.weight for c in mine])[0]
            self.add(officer, at, self.rng.choice(case.plates), offence=case.offence, case=case.number, reason=self.reason(at, officer.terse),
                     span=self.rng.choice((1, 3, 7, 30)))  # fmt: skip
            return
        plate = self.rng.choice(bolos) if self.rng.random() < 0.3 else self.plate()
        number = "" if self.rng.random() < 0.12 else f"E26{at:%j}-{self.rng.randrange(2000):04}"
        self.add(
            officer,
            at,
            plate,
            offence=self.rng.choice(OFFENCES),
            case=number,
            reason=self.reason(at, officer.terse),
            span=self.rng.choice((1, 1, 7)),
        )

    def _call_out(self, officer: Officer, day: int, current: list[Case]) -> None:
        """Overtime or a call at night: a real case at an odd hour, one look or several."""
        at = self.start + timedelta(days=day, hours=self.rng.uniform(0, 24))
        case = self.rng.choice(current) if current else None
        for _ in range(self.rng.choice((1, 1, 2, 4, 6, 9))):
            plate = self.rng.choice(case.plates) if case and self.rng.random() < 0.7 else self.plate()
            self.add(
                officer,
                at,
                plate,
                offence=case.offence if case else "robbery",
                case=case.number if case else "",
                reason=self.reason(at, officer.terse),
            )
            at += timedelta(minutes=self.rng.uniform(2, 40))

    def _stake_out(self, cases: list[Case]) -> None:
        """A detective watches one car for days, alone, under a case that others work on too; sometimes with nobody else."""
        case = self.rng.choice(cases)
        officer = case.people[0]
        if self.rng.random() < 0.5:
            case.people.append(self.rng.choice(self.officers))
            other = case.people[-1]
            self.add(other, self.on_duty(other, min(case.first, self.days - 1)), case.plates[0], offence=case.offence, case=case.number,
                     reason=self.reason(self.start, 0))  # fmt: skip
        first = self.rng.randrange(max(1, self.days - 12))
        for day in range(first, first + self.rng.randrange(2, 8)):
            for _ in range(self.rng.randrange(1, 4)):
                at = self.on_duty(officer, day)
                self.add(
                    officer,
                    at,
                    case.plates[0],
                    offence=case.offence,
                    case=case.number,
                    reason=self.reason(at, officer.terse),
                )
