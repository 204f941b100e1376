"""Each detector on the story that it was made for, and on the work that must not look like it (survey, sections 4 and 8)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from services.audit.looks import Look, look_of
from services.audit.misuse.flags import Flag, Windows
from services.audit.misuse.panel import NAMES, Panel
from services.audit.misuse.thresholds import DEFAULT
from services.audit.misuse.words import is_vague, names_a_case
from tests.common.events import event
from tests.common.searchlog import generate
from tests.load.bench_detectors import measure

pytestmark = pytest.mark.req("R-AUD-3")
START = datetime(2026, 9, 1, 16, tzinfo=UTC)
TOLD = "silver Accord taken from Laguna Blvd at 03:10"


class Story:
    """Looks in any order, shown in order of time."""

    def __init__(self) -> None:
        self._looks: list[tuple[datetime, dict[str, object]]] = []

    def look(self, day: float, member: str, plate: str, **given: object) -> None:
        self._looks.append((START + timedelta(days=day), {"member_id": member, "plate": plate, **given}))

    def work(self, member: str, days: int) -> None:
        """A rhythm: eight looks a working day at new plates, each with a case."""
        for day in range(days):
            for n in range(8):
                self.look(day + n / 24, member, f"7{member[-1]}W{day:02}{n}", case_number=f"26-{day:03}{n}71")

    def flags(self, **given: object) -> list[Flag]:
        panel = Panel(**given)  # type: ignore[arg-type]
        found = []
        for index, (at, values) in enumerate(sorted(self._looks, key=lambda x: x[0])):
            facts = {
                "index": index, "at": at, "agency_id": "a", "owner_agency_id": "a", "member_name": "", "workload": "", "action": "search", "elements": (),
                "offence": "robbery", "case_number": "", "reason": TOLD, "attested": True, "status": "OK", "rule": "", "result_count": 1, "span_days": 1.0,
                "cameras": 0, "agencies": 0,
            }  # fmt: skip
            found += panel.see(Look(**(facts | values)))  # type: ignore[arg-type]
        return found


def names(flags: list[Flag]) -> set[str]:
    return {flag.detector for flag in flags}


def milwaukee(story: Story, **given: object) -> None:
    """179 searches of two plates in a month by one member."""
    for n in range(179):
        story.look(n * 30 / 179, "m-1", "8ABC123" if n % 5 < 3 else "7XYZ987", **given)


def test_milwaukee_is_flagged_within_its_first_week_and_says_the_numbers() -> None:
    story = Story()
    milwaukee(story, reason="investigation")
    flags = [f for f in story.flags() if f.detector == "repeat-target"]
    assert {f.subject for f in flags} == {"8ABC123", "7XYZ987"}
    assert flags[0].at < START + timedelta(days=7)
    assert flags[0].explanation == (
        f"the same plate {len(flags[0].indexes)} times on 4 days, no case named, and nobody else looked at it"
    )
    assert "vague-reason" in names(story.flags())


@pytest.mark.parametrize("others", [1, 5, 9])
def test_a_colleague_who_runs_the_plate_now_and_then_hides_nothing(others: int) -> None:
    story = Story()
    milwaukee(story)
    for n in range(others):
        story.look(n * 3 + 0.01, f"m-{n + 5}", "8ABC123")
    assert "repeat-target" in names(story.flags())


def test_a_borrowed_case_number_hides_nothing_for_long() -> None:
    story = Story()
    milwaukee(story, case_number="26-004312")
    story.look(3, "m-2", "9OTH321", case_number="26-004312")
    assert "repeat-target" in names(story.flags())


@pytest.mark.parametrize("number", ["000000", "N/A", "12345", "-", "none", "9999"])
def test_a_number_that_is_none_is_no_case(number: str) -> None:
    story = Story()
    milwaukee(story, case_number=number)
    assert "no case named" in story.flags()[0].explanation


def test_orange_city_69_24_15_is_a_household() -> None:
    story = Story()
    for plate, count in (("1HER069", 69), ("2MUM024", 24), ("3DAD015", 15)):
        for n in range(count):
            story.look(n * 60 / count, "m-1", plate, reason="follow up")
    flags = [f for f in story.flags() if f.detector == "household-cluster"]
    assert flags
    assert flags[-1].subject == "1HER069+2MUM024+3DAD015"
    assert flags[-1].member_id == "m-1"


def test_a_team_that_works_a_case_is_no_household_and_no_repeat() -> None:
    story = Story()
    for n in range(90):
        story.look(n / 6, f"m-{n % 3}", f"8TEAM{n % 4}", case_number="26-004312")
    assert names(story.flags()) == set()


def test_a_stolen_car_that_everybody_runs_is_nobodys_target() -> None:
    story = Story()
    for n in range(200):
        story.look(n / 20, f"m-{n % 25}", "8STOLEN")
    assert names(story.flags()) == set()


def test_a_night_owl_among_day_workers_is_off_duty_and_a_night_worker_is_not() -> None:
    story = Story()
    story.work("m-1", 30)
    for day in (20, 23, 26):
        story.look(day + 0.5, "m-1", "8ABC123")
    assert "off-duty" in names(story.flags())
    night = Story()
    for day in range(30):
        for n in range(8):
            night.look(day + 0.5 + n / 24, "m-1", f"6N{day:02}{n}", case_number=f"26-1{day:02}{n}7")
    assert "off-duty" not in names(night.flags())


def test_lone_looks_at_one_plate_on_free_days() -> None:
    story = Story()
    story.work("m-1", 10)
    for day in (12, 15, 18, 21):
        story.look(day, "m-1", "8ABC123", case_number="26-777123")
    story.look(23, "m-1", "1END111", case_number="26-000412")
    flags = [f for f in story.flags() if f.detector == "isolated-session"]
    assert [f.subject for f in flags] == ["8ABC123"]


def test_wide_looks_are_flagged_where_they_are_unusual_only() -> None:
    story = Story()
    story.work("m-1", 10)
    story.look(3.5, "m-1", "8ABC123", agencies=6809)
    story.look(4.5, "m-1", "8ABC124", agencies=6809, reason="had an abortion, search for female")
    assert "wide-scope" in names(story.flags())
    usual = Story()
    for n in range(300):
        usual.look(n / 10, f"m-{n % 40}", f"8X{n:04}", agencies=5000 + n % 1800, case_number=f"26-91{n:04}")
    assert sum(f.detector == "wide-scope" for f in usual.flags()) <= 1


@pytest.mark.parametrize(
    "reason", ["investigation", ".", "", "Other - Not Applicable", "inv", "LPR check", "police business"]
)
def test_reasons_that_say_nothing(reason: str) -> None:
    story = Story()
    for n in range(12):
        story.look(n, "m-1", f"8V{n:04}", reason=reason, case_number=f"26-5{n:04}")
    assert names(story.flags()) == {"vague-reason"}


@pytest.mark.parametrize(
    "reason", [TOLD, "had an abortion, search for female", "stolen Accord", "BOLO red F-150"]
)
def test_reasons_that_say_something(reason: str) -> None:
    assert not is_vague(reason)


def test_a_case_number_as_a_pass_and_one_that_everybody_types() -> None:
    story = Story()
    for n in range(24):
        story.look(n, "m-1", f"8P{n:04}", case_number="26-001234")
    assert "case-reuse" in names(story.flags())
    everybody = Story()
    for n in range(60):
        everybody.look(n / 3, f"m-{n % 12}", f"8E{n:04}", case_number="26-000100")
    assert "case-reuse" in names(everybody.flags())
    large = Story()
    for n in range(200):
        large.look(n / 5, f"m-{n % 9}", f"8L{n % 14:04}", case_number="26-004400")
    assert "case-reuse" not in names(large.flags())


def test_a_colleagues_plate_is_known_by_its_digest_only() -> None:
    story = Story()
    story.look(1, "m-1", "8COP911")
    flags = story.flags(protected={b"digest of 8COP911"}, digest=lambda p: f"digest of {p}".encode())
    assert names(flags) == {"own-or-colleague"}
    assert story.flags() == []


def test_refused_and_machine_looks_are_not_judged() -> None:
    story = Story()
    milwaukee(story, status="PERMISSION_DENIED")
    assert story.flags() == []
    machine = Story()
    for n in range(100):
        machine.look(n / 3, "", "8ABC123")
    assert machine.flags() == []


def test_a_pattern_is_told_again_only_when_it_has_doubled() -> None:
    story = Story()
    milwaukee(story)
    sizes = [len(f.indexes) for f in story.flags() if f.subject == "8ABC123"]
    assert sizes == sorted(sizes)
    assert all(after >= 2 * before for before, after in itertools.pairwise(sizes))


def test_state_is_what_the_window_holds() -> None:
    story = Story()
    for n in range(40):
        story.look(n * 20, "m-1", "8ABC123")
    assert "repeat-target" not in names(story.flags())
    windows = Windows(days=1)
    look = Look(0, START, "a", "a", "m", "", "", "search", "", (), "", "", "", attested=True, status="OK", rule="", result_count=0,
                span_days=0, cameras=0, agencies=0)  # fmt: skip
    from dataclasses import replace

    for n in range(20_000):
        windows.add(n, replace(look, at=START + timedelta(minutes=n)))
    assert len(windows._looks) < 7_000
    for _ in range(5_000):
        assert len(windows.add("hot", replace(look, at=START + timedelta(days=14)))) <= Windows.MOST


@pytest.mark.parametrize(
    ("number", "real"),
    [("26-004312", True), ("E26113-0419", True), ("2026-11-0001", True), ("1111111", False), ("4321", False), ("pending", False), ("", False)],
)  # fmt: skip
def test_numbers_that_could_be_a_case(number: str, real: bool) -> None:
    assert names_a_case(number) is real


def test_thresholds_are_settings_and_a_slip_names_its_neighbour() -> None:
    story = Story()
    milwaukee(story, reason="investigation")
    strict = DEFAULT.but({"repeat_no_case": 500, "repeat_own_case": 500, "repeat_shared_case": 500})
    assert "repeat-target" not in names(story.flags(limits=strict))
    with pytest.raises(ValueError, match="repeat_no_case"):
        DEFAULT.but({"repeat_nocase": 5})
    with pytest.raises(ValueError, match="above 0"):
        DEFAULT.but({"wide_looks": 0})


def test_every_detector_has_a_test_here() -> None:
    told = set(NAMES)
    assert told == {
        "repeat-target", "household-cluster", "own-or-colleague", "off-duty", "isolated-session", "wide-scope", "vague-reason", "case-reuse",
    }  # fmt: skip


def test_recall_and_false_flags_on_a_planted_log() -> None:
    counts = measure(range(300, 302))
    assert counts.found.total() >= 0.9 * counts.planted.total()
    assert 1000 * counts.false.total() <= counts.looks


def test_the_generator_is_work_with_misuse_in_it() -> None:
    log = generate(5, days=90, officers=30)
    assert len(log.looks) > 2_000
    assert sum(len(p.indexes) for p in log.plants) < 0.25 * len(log.looks)
    assert [x.index for x in log.looks] == list(range(len(log.looks)))


def test_facts_of_an_event() -> None:
    made = event()
    made.query.add(name="window", value='{"start": "2026-11-01T00:00:00Z", "end": "2026-11-08T12:00:00Z"}')
    made.query.add(name="camera_ids", value="cam-1")
    found = look_of(7, made)
    assert (found.span_days, found.cameras, found.plate, found.case_number) == (
        7.5,
        1,
        "8ABC123",
        "26-004312",
    )
