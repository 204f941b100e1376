"""Hit confirmation on a real PostgreSQL and over real HTTP, with the simulated switch; only the clock is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from clients.devkit.records_switch import RecordsSwitch
from plateward.common.v1 import errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.hotlist import states
from services.hotlist.confirmations import ALLOWED, MOST_ATTEMPTS, Confirmations
from services.hotlist.hits import Writes
from services.hotlist.keeping import Keeping, Rule
from services.hotlist.states import Standing
from services.hotlist.switch import HttpSwitch, Inquiry, SwitchUnavailableError
from tests.unit.hotlist.builders import AGENCY, NOW, OFFICER, SUPERVISOR, decision, entry, read

pytestmark = pytest.mark.req("R-HOT-3")
SAME, URGENT, ROUTINE = hit_pb2.COMPARISON_SAME, hit_pb2.URGENCY_URGENT, hit_pb2.URGENCY_ROUTINE
CONFIRMED, NOT_IN_FORCE = hit_pb2.RECORDS_RESULT_CONFIRMED, hit_pb2.RECORDS_RESULT_NOT_IN_FORCE
OTHER, NOT_PRACTICABLE = hit_pb2.RECORDS_RESULT_OTHER_VEHICLE, hit_pb2.RECORDS_RESULT_NOT_PRACTICABLE


@pytest.fixture
async def url() -> AsyncIterator[str]:
    runner = web.AppRunner(RecordsSwitch(0).application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    await runner.cleanup()


@pytest.fixture
async def tell(url: str):
    async def put(plate: str, **record: Any) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.put(f"{url}/records/{plate}", json=record) as answer,
        ):
            return answer.status

    return put


@pytest.fixture
async def events() -> list[Any]:
    return []


@pytest.fixture
async def confirmations(pool, hits, clock, url, events) -> AsyncIterator[Confirmations]:
    async def append(event: Any) -> None:
        events.append(event)

    switch = HttpSwitch(url, timeout_s=1)
    yield Confirmations(pool, hits, switch, append, clock, new_id=lambda: str(uuid4()))
    await switch.close()


@pytest.fixture
async def compared(entries, matcher, hits) -> hit_pb2.Hit:
    wanted = entry()
    await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    await entries.approve(wanted.entry_id, [AGENCY], "m-1077")
    await matcher.take(await matcher.cursor(), reads_pb2.FollowReadsResponse(reads=[read()], cursor="1:1"))
    [hit] = (await hits.page(decision(), hit_pb2.HIT_STATE_UNSPECIFIED, types_pb2.PageRequest()))[0]
    for move in (
        lambda h: states.claim(h, "m-1042"),
        lambda h: states.compare(h, "m-1042", plate=SAME, state=SAME, vehicle=SAME),
    ):
        await hits.step(hit.hit_id, decision(), OFFICER, move, Writes(note="step"))
    return hit


async def now(hits, hit) -> hit_pb2.Hit:
    [found] = [
        h for h in (await hits.page(decision(), hit_pb2.HIT_STATE_UNSPECIFIED, types_pb2.PageRequest()))[0] if h.hit_id == hit.hit_id
    ]  # fmt: skip
    return found


async def check(hits, hit, result: int, reason: str = "") -> hit_pb2.Hit:
    stepped = await hits.step(
        hit.hit_id, decision(), OFFICER, lambda h: states.check_records(h, "m-1042", result, reason, by_switch=True), Writes()
    )  # fmt: skip
    return stepped.after


async def test_a_positive_answer_is_what_a_verifier_may_record(confirmations, hits, compared, events) -> None:
    with pytest.raises(PlatewardError, match="has not confirmed") as refused:
        await check(hits, compared, CONFIRMED)
    assert refused.value.reason == errors_pb2.ERROR_REASON_HIT_STATE
    asked = (await confirmations.request(compared.hit_id, decision(), OFFICER, URGENT)).after.confirmation
    assert asked.due_at.ToDatetime() - asked.requested_at.ToDatetime() == timedelta(minutes=10)
    assert await confirmations.round() == 1
    hit = await now(hits, compared)
    assert (hit.state, hit.confirmation.result) == (hit_pb2.HIT_STATE_COMPARED, CONFIRMED)
    assert hit.confirmation.answered_by == "simulated agency"
    assert (await check(hits, compared, CONFIRMED)).state == hit_pb2.HIT_STATE_CONFIRMED
    assert [e.change.target for e in events] == [compared.hit_id]
    assert "confirmed" in events[0].change.summary
    assert await confirmations.round() == 0


@pytest.mark.parametrize(
    ("answer", "result", "rejection"),
    [
        ("not-in-force", NOT_IN_FORCE, hit_pb2.REJECTION_STALE),
        ("other-vehicle", OTHER, hit_pb2.REJECTION_WRONG_VEHICLE),
    ],
)
async def test_a_negative_answer_rejects_at_once(confirmations, hits, compared, tell, answer, result, rejection) -> None:  # fmt: skip
    assert await tell("8ABC123", answer=answer) == 204
    await confirmations.request(compared.hit_id, decision(), OFFICER, URGENT)
    await confirmations.round()
    hit = await now(hits, compared)
    assert (hit.state, hit.rejection, hit.confirmation.result) == (
        hit_pb2.HIT_STATE_REJECTED,
        rejection,
        result,
    )
    assert hit.verifications[-1].member_id == "records-check"


@pytest.mark.parametrize("urgency", [URGENT, ROUTINE])
async def test_silence_is_asked_again_twice_and_then_said_to_be_in_vain(
    confirmations, hits, compared, tell, clock, events, urgency
) -> None:
    await tell("8ABC123", answer="silent")
    await confirmations.request(compared.hit_id, decision(), OFFICER, urgency)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        await confirmations.round()
        asked = (await now(hits, compared)).confirmation
        assert asked.attempt == attempt
        clock.time += ALLOWED[urgency] - timedelta(seconds=1)
        await confirmations.round()
        assert (await now(hits, compared)).confirmation.attempt == attempt
        clock.time += timedelta(seconds=1)
        await confirmations.round()
    hit = await now(hits, compared)
    assert hit.confirmation.state == hit_pb2.CONFIRMATION_STATE_UNANSWERED
    assert hit.state == hit_pb2.HIT_STATE_COMPARED
    assert [e.change.summary.split(" ")[0] for e in events] == ["request", "request", "the"]
    # The explicit branch needs its reason, and asking anew begins anew.
    with pytest.raises(PlatewardError, match="why"):
        await check(hits, compared, NOT_PRACTICABLE)
    again = (await confirmations.request(compared.hit_id, decision(), OFFICER, urgency)).after.confirmation
    assert (again.attempt, again.state) == (1, hit_pb2.CONFIRMATION_STATE_WAITING)
    done = await check(hits, compared, NOT_PRACTICABLE, "the other agency's desk is closed")
    assert done.state == hit_pb2.HIT_STATE_CONFIRMED


async def test_a_negative_answer_after_not_practicable_keeps_anything_from_being_done(
    confirmations, hits, compared, tell
) -> None:
    await tell("8ABC123", answer="not-in-force", attempts=1)
    await confirmations.request(compared.hit_id, decision(), OFFICER, URGENT)
    await check(hits, compared, NOT_PRACTICABLE, "pursuit in progress, dispatch down")
    await confirmations.round()
    with pytest.raises(PlatewardError, match="has answered since"):
        await hits.step(
            compared.hit_id,
            decision(),
            OFFICER,
            lambda h: states.act(h, hit_pb2.HIT_ACTION_STOP),
            Writes(action=hit_pb2.HIT_ACTION_STOP),
        )


async def test_in_process_moves_the_time_a_day_at_most(confirmations, hits, compared, tell, clock) -> None:
    await tell("8ABC123", answer="in-process", process_s=10**6)
    # The simulator says times of its own clock: stand where it stands.
    clock.time = datetime.now(NOW.tzinfo)
    await confirmations.request(compared.hit_id, decision(), OFFICER, URGENT)
    await confirmations.round()
    asked = (await now(hits, compared)).confirmation
    assert asked.state == hit_pb2.CONFIRMATION_STATE_IN_PROCESS
    assert asked.due_at.ToDatetime() - asked.requested_at.ToDatetime() == timedelta(days=1)
    clock.time += timedelta(days=1, seconds=1)
    await tell("8ABC123", answer="silent")
    await confirmations.round()
    assert (await now(hits, compared)).confirmation.state == hit_pb2.CONFIRMATION_STATE_OVERDUE


async def test_the_time_runs_while_the_switch_is_away_and_what_was_asked_outlives_a_restart(
    pool, hits, compared, clock, events, url
) -> None:
    async def append(event: Any) -> None:
        events.append(event)

    away = HttpSwitch("http://127.0.0.1:9", timeout_s=0.2)
    before = Confirmations(pool, hits, away, append, clock, new_id=lambda: str(uuid4()))
    await before.request(compared.hit_id, decision(), OFFICER, URGENT)
    await before.round()
    await away.close()
    clock.time += timedelta(minutes=10)
    switch = HttpSwitch(url)
    after = Confirmations(pool, hits, switch, append, clock, new_id=lambda: str(uuid4()))
    # Answered late is answered: the switch takes the first request only now.
    await after.round()
    assert (await now(hits, compared)).confirmation.result == CONFIRMED
    await switch.close()


async def test_without_a_record_nothing_is_written(pool, hits, compared, clock, url) -> None:
    async def refuse(event: Any) -> None:
        raise PlatewardError(errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE, "the log is away", retry_after=1.0)

    switch = HttpSwitch(url)
    kept = Confirmations(pool, hits, switch, refuse, clock, new_id=lambda: str(uuid4()))
    await kept.request(compared.hit_id, decision(), OFFICER, URGENT)
    with pytest.raises(PlatewardError):
        await kept.round()
    await switch.close()
    assert (await now(hits, compared)).confirmation.state == hit_pb2.CONFIRMATION_STATE_WAITING


async def test_only_the_verifier_of_a_compared_hit_asks_and_more_urgent_counts(
    confirmations, hits, compared, pool
) -> None:
    with pytest.raises(PlatewardError) as refused:
        await confirmations.request(compared.hit_id, decision(), SUPERVISOR, URGENT)
    assert refused.value.reason == errors_pb2.ERROR_REASON_HIT_CLAIMED
    first = (await confirmations.request(compared.hit_id, decision(), OFFICER, ROUTINE)).after.confirmation
    same = (await confirmations.request(compared.hit_id, decision(), OFFICER, ROUTINE)).after.confirmation
    assert same.confirmation_id == first.confirmation_id
    urgent = (await confirmations.request(compared.hit_id, decision(), OFFICER, URGENT)).after.confirmation
    assert urgent.due_at.ToDatetime() - urgent.requested_at.ToDatetime() == timedelta(minutes=10)
    slow = (await confirmations.request(compared.hit_id, decision(), OFFICER, ROUTINE)).after.confirmation
    assert slow.urgency == URGENT
    off = Confirmations(pool, hits, None, None, None, new_id=str)  # type: ignore[arg-type]
    with pytest.raises(PlatewardError, match="SWITCH_URL"):
        await off.request(compared.hit_id, decision(), OFFICER, URGENT)


async def test_two_workers_ask_and_answer_once(confirmations, hits, compared) -> None:
    await confirmations.request(compared.hit_id, decision(), OFFICER, URGENT)
    await asyncio.gather(confirmations.round(), confirmations.round())
    hit = await now(hits, compared)
    assert hit.confirmation.result == CONFIRMED
    assert len(hit.verifications) == 2


async def test_a_destroyed_hit_takes_its_request_along(
    confirmations, compared, pool, clock, destroying
) -> None:
    class Never(Keeping):
        async def rule(self, agency_id: str) -> Rule | None:
            return Rule(timedelta(days=1), "", "")

    await confirmations.request(compared.hit_id, decision(), OFFICER, URGENT)
    clock.time = NOW + timedelta(days=2)
    assert await destroying(Never.__new__(Never)).destroy() == 1
    async with pool.connection() as connection:
        left = await (await connection.execute("SELECT count(*) AS n FROM confirmations")).fetchone()
    assert left["n"] == 0


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "maybe"}, {"status": "in-process"}, {"status": "in-process", "until": "2026-11-23T18:00:00"}, {}, [], "confirmed", {"status": None},
    ],
)  # fmt: skip
async def test_what_is_not_of_the_contracts_form_is_no_answer(answer: Any) -> None:
    async def reply(request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/confirmations/{id}", reply)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    switch = HttpSwitch(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}")
    try:
        with pytest.raises(SwitchUnavailableError):
            await switch.reply("01990e5c-7c2a-7d10-9a31-0c1f6f6cf0ab")
    finally:
        await switch.close()
        await runner.cleanup()


_RESULTS = st.sampled_from([0, CONFIRMED, NOT_IN_FORCE, OTHER])


@given(st.lists(st.one_of(
    st.tuples(st.just("answer"), _RESULTS),
    st.tuples(st.just("records"), st.sampled_from([CONFIRMED, NOT_PRACTICABLE]), st.sampled_from(["", "desk is closed"])),
    st.tuples(st.just("act"), st.just(hit_pb2.HIT_ACTION_STOP)),
), max_size=8))  # fmt: skip
def test_whatever_comes_when_a_stop_follows_a_positive_answer_or_a_reason_and_never_a_negative_one(
    steps: list[tuple[Any, ...]],
) -> None:
    hit = Standing(hit_pb2.HIT_STATE_COMPARED, "m-1", hit_pb2.MAX_ACTION_STOP)
    answers, reasons, acted_after = [], [], None
    for step in steps:
        answer = step[1] if step[0] == "answer" and step[1] else hit.answer
        try:
            match step:
                case ("answer", result):
                    answers.append(result)
                    result_of = states.answered(hit, result)
                case ("records", result, reason):
                    result_of = states.check_records(hit, "m-1", result, reason, by_switch=True)
                    if result == NOT_PRACTICABLE:
                        reasons.append(reason)
                case _:
                    result_of = states.act(hit, step[1])
                    acted_after = list(answers)
        except PlatewardError:
            continue
        hit = Standing(result_of.state, "m-1", hit.max_action, answer)
    if acted_after is not None:
        last = next((a for a in reversed(acted_after) if a), 0)
        assert last not in (NOT_IN_FORCE, OTHER)
        assert CONFIRMED in acted_after or reasons


async def test_the_agency_that_entered_it_is_told_which_record_is_meant() -> None:
    """H-04: the switch finds the record by its own number, not by a plate that others may bear too."""
    taken: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.add_routes([web.post("/confirmations", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    switch = HttpSwitch(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", timeout_s=5)
    wanted = entry(ori="CA0341000", nic="V123", vin="1HGCM82633A004352")
    await switch.ask(Inquiry("c-1", 1, URGENT, NOW, AGENCY, wanted, NOW))
    await switch.close()
    await runner.cleanup()
    assert [{name: asked[name] for name in ("ori", "nic", "vin", "plate")} for asked in taken] == [
        {"ori": "CA0341000", "nic": "V123", "vin": "1HGCM82633A004352", "plate": "8ABC123"}
    ]
