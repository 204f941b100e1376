"""Retention as the published policy says, asked of a gRPC server on this machine."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from plateward.common.v1 import errors_pb2, types_pb2
from servicekit.errors import PlatewardError
from services.reads.cursors import START
from services.reads.retention import Retention
from services.reads.schedules import ScheduleStore
from tests.unit.reads.builders import AGENCY, NOW, accepted, decision, new_read, query


def asking(access, pool, clock, *, fallback: int = 0, cache: float = 60.0) -> Retention:
    return Retention(access.channel, ScheduleStore(pool), clock, fallback, cache)


@pytest.mark.req("R-RET-1")
async def test_each_agency_has_its_own_schedule_asked_once_a_minute(access, pool, clock) -> None:
    retention = asking(access, pool, clock)
    await retention.ready()
    for _ in range(3):
        assert (await retention.schedules("elk-grove-pd")).read.keep == timedelta(days=30)
        assert (await retention.schedules("va-pd")).read.keep == timedelta(days=21)
        assert (await retention.schedules("nh-pd")).read.keep == timedelta(minutes=3)
    assert access.asked == 4


async def test_the_last_answer_stays_in_force_while_access_is_away_over_a_restart_too(
    access, pool, clock
) -> None:
    retention = asking(access, pool, clock, cache=0.001)
    await retention.schedules("nh-pd")
    access.away = True
    await asyncio.sleep(0.01)
    for asked in (retention, asking(access, pool, clock)):
        assert (await asked.schedules("nh-pd")).read.told == "3 minutes (462.4)"


@pytest.mark.req("R-RET-1")
async def test_nothing_is_guessed(access, pool, clock) -> None:
    with pytest.raises(PlatewardError, match="names no retention"):
        await asking(access, pool, clock).schedules("other-pd")
    found = await asking(access, pool, clock, fallback=60).schedules("other-pd")
    assert (found.read.keep, found.crop.keep) == (timedelta(minutes=1), timedelta(minutes=1))
    access.away = True
    with pytest.raises(PlatewardError) as refused:
        await asking(access, pool, clock, fallback=60).schedules("elk-grove-pd")
    assert refused.value.reason == errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE


async def test_a_decision_under_another_version_of_the_policy_asks_again(access, pool, clock) -> None:
    retention = asking(access, pool, clock)
    await retention.schedules("nh-pd", "1")
    access.publish("nh-pd", read=timedelta(minutes=1))
    assert (await retention.schedules("nh-pd", "1")).read.keep == timedelta(minutes=3)
    assert (await retention.schedules("nh-pd", "2")).read.keep == timedelta(minutes=1)


@pytest.mark.req("R-RET-1")
async def test_a_shortened_policy_shortens_what_is_stored_and_a_lengthened_one_brings_nothing_back(
    access, pool, clock, ingest, search, follow
) -> None:
    seen = [NOW - timedelta(days=days) for days in (1, 10, 20)]
    await ingest.store(AGENCY, [accepted(new_read(at=at), NOW) for at in seen])

    async def found() -> int:
        request = query(NOW - timedelta(days=40), NOW + timedelta(minutes=1), "8ABC123")
        answer = await search.find(request, decision(AGENCY), types_pb2.Subject(agency_id=AGENCY))
        followed = await follow.after(START)
        assert len(followed[1].reads if followed else []) == len(answer.reads)
        return len(answer.reads)

    assert await found() == 3
    access.publish(AGENCY, read=timedelta(days=15))
    assert await found() == 2
    access.publish(AGENCY, read=timedelta(days=365))
    assert await found() == 2
    clock.time = NOW - timedelta(days=10)
    assert await found() == 2
