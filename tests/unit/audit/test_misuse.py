"""The detectors on the patterns of the survey, on ordinary work, and on another vendor's export."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateward.audit.v1 import event_pb2
from servicekit.clock import Clock
from services.audit.looks import Look, look_of
from services.audit.misuse.follower import WINDOW, Follower
from services.audit.misuse.panel import Panel, detectors
from services.audit.misuse.store import FlagStore
from services.audit.misuse.vendor import VendorError, VendorReader
from services.audit.misuse.words import is_vague
from services.audit.settings import AuditSettings
from tests.common.audit_log import opened
from tests.common.events import event
from tests.common.searchlog import generate
from tests.load.bench_detectors import measure

pytestmark = pytest.mark.req("R-AUD-3")
START = datetime(2026, 9, 1, 9, tzinfo=UTC)


def look(
    index: int,
    at: datetime,
    plate: str,
    member: str = "m-1",
    *,
    case: str = "",
    reason: str = "investigation",
) -> Look:
    return Look(
        index, at, "a", "a", member, member, "desk", "search", plate, (("plate", plate),), "robbery", case, reason, attested=True, status="OK",
        rule="r", result_count=1, span_days=1, cameras=0, agencies=0,
    )  # fmt: skip


def flagged(looks: list[Look]) -> set[str]:
    panel = Panel(detectors())
    return {flag.detector for x in looks for flag in panel.see(x)}


def test_milwaukee_179_searches_of_two_plates_in_a_month():
    looks = [look(i, START + timedelta(hours=4 * i), "AAA111" if i % 2 else "BBB222") for i in range(179)]
    assert "repeat-target" in flagged(looks)


def test_orange_city_69_24_and_15():
    sittings = [
        (
            "AAA111",
            *(["BBB222"] if i % 3 == 0 or i > 67 else []),
            *(["CCC333"] if i % 5 == 1 or i == 2 else []),
        )
        for i in range(69)
    ]
    times = [
        (START + timedelta(hours=14 * n, minutes=3 * k), plate)
        for n, sitting in enumerate(sittings)
        for k, plate in enumerate(sitting)
    ]
    looks = [look(i, at, plate) for i, (at, plate) in enumerate(times)]
    assert [sum(x.plate == p for x in looks) for p in ("AAA111", "BBB222", "CCC333")] == [69, 24, 15]
    assert {"repeat-target", "household-cluster"} <= flagged(looks)


def test_a_case_that_several_work_on_is_no_pattern():
    looks = []
    for day in range(20):
        for member in ("m-1", "m-2", "m-3"):
            looks.append(
                look(
                    len(looks),
                    START + timedelta(days=day, minutes=len(looks)),
                    "AAA111",
                    member,
                    case="26-1",
                    reason="Accord on Bond Rd at 8",
                )
            )
    assert flagged(looks) == set()


def test_a_flag_is_told_once_and_again_when_it_doubled():
    panel = Panel(detectors())
    looks = [
        look(i, START + timedelta(hours=12 * i), "AAA111", reason="silver Accord on Bond Rd")
        for i in range(40)
    ]
    flags = [f for x in looks for f in panel.see(x) if f.detector == "repeat-target"]
    assert 1 <= len(flags) <= 4
    assert flags[0].explanation.startswith("the same plate")
    assert all(f.indexes == tuple(sorted(f.indexes)) for f in flags)


def test_recall_and_false_flags_on_a_planted_log():
    planted, found, false, looks, _ = measure(range(300, 302))
    assert found.total() >= 0.9 * planted.total()
    assert 1000 * false.total() <= looks


def test_the_generator_is_work_with_misuse_in_it():
    log = generate(5, days=90, officers=30)
    assert len(log.looks) > 2_000
    assert sum(len(p.indexes) for p in log.plants) < 0.25 * len(log.looks)
    assert [x.index for x in log.looks] == list(range(len(log.looks)))


@pytest.mark.parametrize(
    "reason",
    [
        "investigation",
        ".",
        "",
        "test",
        "INV",
        "police business",
        "vehicle theft",
        "Other - Not Applicable",
        "-",
    ],
)
def test_reasons_that_say_nothing(reason):
    assert is_vague(reason, "vehicle-theft")


@pytest.mark.parametrize("reason", ["silver Accord taken from Laguna Blvd", "BOLO Camry 3rd robbery"])
def test_reasons_that_say_something(reason):
    assert not is_vague(reason, "vehicle-theft")


# ---------------------------------------------------------------- another vendor's export

HEADER = "Name,Org Name,Total Networks Searched,Total Devices Searched,Time Frame,License Plate,Reason,Case #,Filters,Search Time,Search Type,Moderation\n"


def read(text: str | bytes, form: str = "flock-organization-audit", step: int = 7) -> VendorReader:
    reader = VendorReader(form, "imported", ZoneInfo("America/Los_Angeles"))
    data = text.encode() if isinstance(text, str) else text
    looks: list[Look] = []
    for at in range(0, len(data), step):
        looks += reader.feed(data[at : at + step])
    looks += reader.end()
    reader.looks = looks  # type: ignore[attr-defined]
    return reader


def test_an_organisation_audit_is_read():
    rows = 'D. Reyes,EGPD,"1,103",83345,01/02/2026 - 03/02/2026,7abc 123,"had an ""odd"" reason,\nin two lines",26-1,,"11/23/2026, 08:02:11 PM PST",lookup,\n'
    reader = read("\ufeff" + HEADER + rows)
    (found,) = reader.looks  # type: ignore[attr-defined]
    assert (found.plate, found.case_number, found.agencies, found.cameras) == ("7ABC123", "26-1", 1103, 83345)
    assert found.at == datetime(2026, 11, 24, 4, 2, 11, tzinfo=UTC)
    assert found.span_days == 59
    assert "two lines" in found.reason
    assert reader.malformed == []


def test_columns_may_be_missing_redacted_or_in_another_order():
    reader = read(
        "Search Time,Reason,Org Name\n2026-11-23T08:00:00Z,inv,Galt PD\n2026-11-23 09:00 UTC,***,REDACTED\n"
    )
    assert [x.member_id for x in reader.looks] == ["somebody of Galt PD", "somebody of imported"]  # type: ignore[attr-defined]


def test_rows_that_cannot_be_read_are_named_and_the_next_is_read():
    reader = read(HEADER + "a,b,,,,P1,r,,,yesterday,,\na,b,,,,P2,r,,,,,\na,b,,,,P3,r,,,2026-01-01 00:00,,\n")
    assert [line for line, _ in reader.malformed] == [2, 3]
    assert [x.plate for x in reader.looks] == ["P3"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "why"), [("", "empty"), ("a,b\n1,2\n", "time of a search"), ("x" * 70_000, "no CSV")]
)
def test_what_is_no_export_is_refused(text, why):
    with pytest.raises(VendorError, match=why):
        read(text, step=40_000)


def test_an_unknown_form_is_refused():
    with pytest.raises(VendorError, match="not known"):
        VendorReader("vigilant", "a")


@given(st.binary(max_size=600))
def test_no_bytes_break_the_reader(data):
    with contextlib.suppress(VendorError):
        read(HEADER.encode() + data, step=50)


def test_the_detectors_run_on_an_export():
    rows = "".join(
        f"J. Doe,EGPD,1,30,,AAA111,investigation,,,{(START + timedelta(hours=7 * i)):%m/%d/%Y %H:%M},search,\n"
        for i in range(60)
    )
    panel = Panel(detectors())
    names = {f.detector for x in read(HEADER + rows, step=4096).looks for f in panel.see(x)}  # type: ignore[attr-defined]
    assert {"repeat-target", "vague-reason"} <= names


# ---------------------------------------------------------------- on the log


async def test_the_follower_flags_from_the_log_once_also_after_a_restart(settings: AuditSettings) -> None:
    async with opened(settings) as log:
        flags = FlagStore(log[1]._pool, log[2], bytes(32))
        await flags.protect(
            "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa",
            "elk-grove-pd",
            log[2].term("plate", "8ABC123"),
            active=True,
        )
        made = event(phase=event_pb2.PHASE_OUTCOME)
        made.outcome.status = "OK"
        await log[0].append(made)
        since = datetime.now(UTC) - WINDOW
        for _ in range(2):
            follower = Follower(flags, log[2], log[0].append, Clock())
            while await follower.step(since):
                pass
        (flag,) = await flags.page("elk-grove-pd", "", 10)
        assert (flag.flag.detector, flag.flag.member_id, flag.flag.indexes) == (
            "own-or-colleague",
            "m-1042",
            (0,),
        )
        assert log[0].size == 2
        assert await flags.page("galt-pd", "", 10) == []
        await flags.dispose(
            "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0ab",
            flag.flag_id,
            datetime.now(UTC),
            {"finding": "violation", "note": "n"},
        )
        assert (await flags.one("elk-grove-pd", flag.flag_id)).finding == "violation"  # type: ignore[union-attr]
        await flags.protect(
            "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0ac",
            "elk-grove-pd",
            log[2].term("plate", "8ABC123"),
            active=False,
        )
        assert await flags.protected("elk-grove-pd") == frozenset()


def test_facts_of_an_event():
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
