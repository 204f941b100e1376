"""Holds past their review date: on record once, counted until somebody looks, and never ended by themselves."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError
from services.reads.records import Records
from services.reads.reviews import Reviews
from tests.unit.reads.builders import AGENCY, NOW, accepted, new_read
from tests.unit.reads.test_holds import find, order

DUE = NOW + timedelta(days=180)


class Told:
    """Keeps what the real log is given."""

    def __init__(self, log) -> None:
        self.log, self.events, self.away = log, [], False

    async def append(self, event: event_pb2.AuditEvent):
        if self.away:
            raise PlatewardError(errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE, "away")
        receipt = await self.log.append(event)
        self.events.append((event, receipt))
        return receipt


@pytest.fixture
def told(log) -> Told:
    return Told(log)


@pytest.fixture
def reviews(pool, clock, told):
    registry = CollectorRegistry()
    made = Reviews(pool, clock, Records(told, clock), registry)

    def overdue() -> float | None:
        return registry.get_sample_value("plateward_reads_holds_overdue", {"agency": AGENCY})

    return made, overdue


@pytest.mark.req("R-RET-2")
async def test_an_overdue_hold_is_recorded_once_for_each_review_date_and_goes_on(
    ingest, holds, reviews, told, clock, call, search, purger, retention, pool
) -> None:
    made, overdue = reviews
    new = new_read(at=NOW)
    await ingest.store(AGENCY, [accepted(new, NOW)])
    hold = await holds.place(order(new.read.read_id), call)
    clock.time = DUE - timedelta(seconds=1)
    assert await made.remind() == []
    assert overdue() is None
    clock.time = DUE
    told.away = True
    with pytest.raises(PlatewardError):
        await made.remind()
    told.away = False
    assert await made.remind() == [hold.hold_id]
    assert await made.remind() == []
    assert overdue() == 1
    [(event, receipt)] = told.events
    assert (event.change.kind, event.change.target, event.owner_agency_id) == (
        "hold-overdue",
        hold.hold_id,
        AGENCY,
    )
    # Another replica that comes to it at the same moment adds no second entry.
    async with pool.connection() as connection:
        await connection.execute("UPDATE holds SET overdue_told = NULL")
    await made.remind()
    assert told.events[1][1].index == receipt.index

    await purger.run(await retention.schedules(AGENCY))
    assert await find(search, "26-004312") == [new.read.read_id]

    reviewed = await holds.review(hold.hold_id, DUE + timedelta(days=90), "appeal pending", call)
    assert reviewed.review_at.ToDatetime() == (DUE + timedelta(days=90)).replace(tzinfo=None)
    assert await made.remind() == []
    assert overdue() is None
    clock.time = DUE + timedelta(days=91)
    assert await made.remind() == [hold.hold_id]
    assert told.events[2][1].index > receipt.index
    await holds.release(hold.hold_id, "the case is over", call)
    assert await made.remind() == []
    assert overdue() is None


@pytest.mark.req("R-RET-2")
async def test_a_review_is_a_line_of_custody_and_only_of_a_hold_in_force(ingest, holds, clock, call) -> None:
    new = new_read(at=NOW)
    await ingest.store(AGENCY, [accepted(new, NOW)])
    hold = await holds.place(order(new.read.read_id), call)
    with pytest.raises(PlatewardError) as refused:
        await holds.review(hold.hold_id, NOW, "again", call)
    assert refused.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    await holds.review(hold.hold_id, DUE + timedelta(days=1), "order confirmed", call)
    kept = await holds.kept(AGENCY, hold.hold_id, call, "evidence exported")
    line = json.loads(bytes(kept.chain[1]["entry"]))
    assert (line["what"], line["reason"], line["member"]) == ("hold reviewed", "order confirmed", "m-1077")
    assert (line["review_before"], line["review_at"]) == (
        DUE.isoformat(),
        (DUE + timedelta(days=1)).isoformat(),
    )
    await holds.release(hold.hold_id, "over", call)
    call.subject.agency_id = "galt-pd"
    for _ in range(2):
        with pytest.raises(PlatewardError, match="no hold in force"):
            await holds.review(hold.hold_id, DUE, "again", call)
        call.subject.agency_id = AGENCY
