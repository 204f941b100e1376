"""The periodic audit: a sample that anybody can draw again, a life whose steps cannot be skipped, a report that cannot be abused."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from services.audit.metrics import LogMetrics
from services.audit.periodic import render
from services.audit.periodic.draw import LEAST, draw
from services.audit.periodic.life import DRAWN, FOUND, PLANNED, SIGNED_OFF, Record, fold
from services.audit.periodic.reminders import Reminders
from services.audit.periodic.store import AuditStore
from services.audit.settings import AuditSettings
from tests.common.audit_log import opened
from tests.common.databases import FixedClock
from tests.unit.audit.test_log import fill

pytestmark = pytest.mark.req("R-AUD-2")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AUDIT = "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa"
PLAN = {
    "agency_id": "elk-grove-pd", "start": "2026-08-01T00:00:00+00:00", "end": "2026-11-01T00:00:00+00:00", "reviewer_id": "m-2001",
    "approver_id": "m-4001", "sample_rate": 0.01, "due_at": "2026-12-01T00:00:00+00:00", "seed": "",
}  # fmt: skip


def record(kind: str, **data: object) -> Record:
    return Record(AUDIT, kind, NOW, PLAN | data if kind == PLANNED else data)


def drawn(*indexes: int, flagged: tuple[int, ...] = ()) -> Record:
    return record(
        DRAWN, seed="ab" * 32, population=900, tree_size=950, drawn=list(indexes), flagged=list(flagged)
    )


def found(index: int, finding: str = "compliant", action: str = "", due: str = "") -> Record:
    return record(
        FOUND,
        index=index,
        finding=finding,
        note="",
        corrective_action=action,
        corrective_due_at=due,
        reviewer_id="m-2001",
    )


def reason(error: pytest.ExceptionInfo[PlatewardError]) -> str:
    return errors_pb2.ErrorReason.Name(error.value.reason).removeprefix("ERROR_REASON_")


@given(st.sets(st.integers(0, 10**9), max_size=400), st.binary(min_size=1, max_size=40), st.floats(0.01, 1))
def test_a_draw_is_repeatable_large_enough_and_of_the_population(population, seed, rate):
    sample = draw(sorted(population), seed, rate)
    assert sample == draw(sorted(population, reverse=True), seed, rate)
    assert set(sample.drawn) <= population
    assert len(sample.drawn) >= min(len(population), max(LEAST, rate * len(population)))


def test_everything_flagged_is_in_the_sample_and_nothing_from_elsewhere():
    sample = draw(range(10_000), b"seed", 0.01, flagged=[3, 9_999, 10_001])
    assert sample.flagged == (3, 9_999)
    assert {3, 9_999} <= set(sample.indexes)
    assert len(sample.drawn) == 100


def test_another_seed_draws_another_sample():
    assert draw(range(10_000), b"one", 0.01) != draw(range(10_000), b"two", 0.01)


@pytest.mark.parametrize(("rate", "seed"), [(0.009, b"s"), (1.01, b"s"), (0.5, b"")])
def test_less_than_one_percent_is_no_audit(rate, seed):
    with pytest.raises(ValueError, match="1 %"):
        draw([1], seed, rate)


def test_the_life_cannot_be_shortened():
    planned = fold([record(PLANNED)])
    assert planned is not None
    assert planned.state == audit_pb2.AUDIT_STATE_PLANNED
    with pytest.raises(PlatewardError) as early:
        planned.check_sign_off("m-4001")
    assert reason(early) == "WRONG_STATE"
    in_review = fold([record(PLANNED), drawn(4, 7, flagged=(9,)), found(4), found(7)])
    assert in_review is not None
    assert in_review.open == (9,)
    with pytest.raises(PlatewardError, match="entry 9 first"):
        in_review.check_sign_off("m-4001")
    with pytest.raises(PlatewardError, match="not in this audit"):
        in_review.check_finding(5, audit_pb2.FINDING_KIND_COMPLIANT, "")
    with pytest.raises(PlatewardError, match="corrective action"):
        in_review.check_finding(9, audit_pb2.FINDING_KIND_VIOLATION, " ")
    whole = fold(
        [record(PLANNED), drawn(4), found(4), record(SIGNED_OFF, approver_id="m-4001", checkpoint="")]
    )
    assert whole is not None
    assert whole.state == audit_pb2.AUDIT_STATE_SIGNED_OFF
    with pytest.raises(PlatewardError, match="signed off"):
        whole.check_reviewer("m-2001")


def test_duties_are_separate():
    audit = fold([record(PLANNED), drawn(4), found(4)])
    assert audit is not None
    for step in (lambda: audit.check_reviewer("m-4001"), lambda: audit.check_sign_off("m-2001")):
        with pytest.raises(PlatewardError) as refused:
            step()
        assert refused.value.metadata["rule"] == "audit.separation-of-duties"


def test_the_newest_finding_counts():
    audit = fold([record(PLANNED), drawn(4), found(4, "violation", "retrain"), found(4)])
    assert audit is not None
    assert audit.findings[4]["finding"] == "compliant"


def test_no_cell_is_a_formula_and_no_tag_runs():
    row = {
        "entry": 1,
        "why": "drawn",
        "at": "",
        "member": "=cmd|' /C calc'!A0",
        "reason": "<script>alert(1)</script>",
        "finding": "open",
        "note": "@x",
    }
    parts = {
        "title": "<b>t</b>", "audit_id": "a", "state": "planned", "made_at": "", "checkpoint": "note", "4 sampled looks": [row],
        "1 scope": {"entries now": 1, "root now": "00"}, "2 population": {"by member": {"<i>": 3}},
    }  # fmt: skip
    cells = list(csv.reader(io.StringIO(render.to_csv(parts).decode())))
    assert cells[2][3] == "'=cmd|' /C calc'!A0"
    page = render.to_html(parts).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert json.loads(render.to_json(parts))["4 sampled looks"][0]["member"].startswith("=cmd")


async def test_records_are_sealed_ones_own_and_reminders_come_once_a_day(settings: AuditSettings) -> None:
    async with opened(settings) as log:
        audits = AuditStore(log[1]._pool, log[2], bytes(32))
        await audits.add(new_id(), AUDIT, "elk-grove-pd", PLANNED, NOW, PLAN)
        await audits.add(new_id(), AUDIT, "elk-grove-pd", DRAWN, NOW, dict(drawn(4).data))
        await audits.add(
            new_id(),
            AUDIT,
            "elk-grove-pd",
            FOUND,
            NOW,
            dict(found(4, "violation", "retrain", "2026-11-30T00:00:00+00:00").data),
        )
        assert await audits.records(AUDIT, "galt-pd") == []
        assert await audits.audit_ids("elk-grove-pd", "", 10) == [AUDIT]
        async with log[1]._pool.connection() as connection:
            rows = await (await connection.execute("SELECT sealed FROM audit_records")).fetchall()
        assert all(b"m-2001" not in bytes(r["sealed"]) for r in rows)
        clock = FixedClock(NOW)
        from prometheus_client import CollectorRegistry

        metrics = LogMetrics(CollectorRegistry())
        reminders = Reminders(audits, log[0].append, clock, metrics)
        assert await reminders.once() == 2
        size = log[0].size
        assert await reminders.once() == 2
        assert log[0].size == size
        clock.time = NOW + timedelta(days=10)
        assert await reminders.once() == 2
        assert metrics.audits_overdue._value.get() == 1
        assert log[0].size == size + 2


async def test_the_population_is_what_was_answered_in_the_span(settings: AuditSettings) -> None:
    from plateward.audit.v1 import event_pb2
    from services.audit.looks import LOOKS
    from tests.common.events import event

    async with opened(settings) as log:
        await fill(log, 3)
        for status, phase in (
            ("OK", event_pb2.PHASE_OUTCOME),
            ("PERMISSION_DENIED", event_pb2.PHASE_OUTCOME),
            ("OK", event_pb2.PHASE_ATTEMPT),
        ):
            made = event(phase=phase)
            made.outcome.status = status
            await log[0].append(made)
        audits = AuditStore(log[1]._pool, log[2], bytes(32))
        span = (datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1))
        assert await audits.population("elk-grove-pd", LOOKS, *span, answered=True) == [3]
        assert await audits.population("elk-grove-pd", LOOKS, *span, answered=False) == [3, 4]
        assert await audits.population("galt-pd", LOOKS, *span, answered=False) == []
