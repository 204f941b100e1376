"""Entries, hits and the matcher on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.hotlist import states
from services.hotlist.hits import Writes
from services.hotlist.matcher import MovedError
from services.hotlist.streams import Streams
from tests.unit.hotlist.builders import AGENCY, NOW, OFFICER, SUPERVISOR, decision, entry, keep_picture, read

SAME = hit_pb2.COMPARISON_SAME
PAGE = types_pb2.PageRequest()


@pytest.fixture
def enter(entries):
    async def put(plate: str = "8ABC123", *, approve: bool = True) -> hit_pb2.HotlistEntry:
        wanted = entry(plate)
        made = await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
        return (await entries.approve(made.entry_id, [AGENCY], "m-1077"))[1] if approve else made

    return put


@pytest.fixture
def raise_hit(matcher, hits):
    async def put(*reads) -> list[hit_pb2.Hit]:
        cursor = await matcher.cursor()
        following = f"1:{int(cursor.split(':')[1]) + 1 if cursor else 1}"
        await matcher.take(cursor, reads_pb2.FollowReadsResponse(reads=reads or [read()], cursor=following))
        return (await hits.page(decision(), hit_pb2.HIT_STATE_UNSPECIFIED, PAGE))[0]

    return put


def _reason(refused) -> int:
    return refused.value.reason


@pytest.mark.req("R-HOT-1")
async def test_an_entry_matches_once_a_second_person_has_approved_it(entries, enter, raise_hit) -> None:
    made = await enter(approve=False)
    assert await raise_hit() == []
    with pytest.raises(PlatewardError, match="second person") as refused:
        await entries.approve(made.entry_id, [AGENCY], "m-1042")
    assert _reason(refused) == errors_pb2.ERROR_REASON_DENIED_BY_POLICY
    await entries.approve(made.entry_id, [AGENCY], "m-1077")
    [hit] = await raise_hit()
    assert (hit.state, hit.entry.approved_by, hit.verifier_id) == (hit_pb2.HIT_STATE_RAISED, "m-1077", "")


async def test_the_database_itself_refuses_a_creator_who_approves(pool, enter) -> None:
    made = await enter(approve=False)
    async with pool.connection() as connection:
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(
                "UPDATE entries SET approved_by = created_by WHERE entry_id = %s", (made.entry_id,)
            )
        await connection.rollback()


async def test_a_removed_entry_raises_nothing_more(entries, enter, raise_hit) -> None:
    made = await enter()
    await entries.remove(made.entry_id, [AGENCY], "m-1077", "vehicle recovered")
    assert await raise_hit() == []
    with pytest.raises(PlatewardError) as refused:
        await entries.remove(made.entry_id, [AGENCY], "m-1077", "again")
    assert _reason(refused) == errors_pb2.ERROR_REASON_NOT_FOUND


async def test_entries_are_the_agencys_own_and_expire(entries, enter, clock) -> None:
    made = await enter()
    with pytest.raises(PlatewardError) as refused:
        await entries.remove(made.entry_id, ["galt-pd"], "g-1", "not ours")
    assert _reason(refused) == errors_pb2.ERROR_REASON_NOT_FOUND
    for days in (-1, 31):
        with pytest.raises(PlatewardError, match="30 days"):
            await entries.create(
                entry(days=days), entry_id=entry().entry_id, agency_id=AGENCY, member_id="m-1"
            )
    clock.time = NOW + timedelta(days=15)
    assert (await entries.page([AGENCY], "", "", 10))[0] == []


async def test_entries_come_in_pages(entries, enter) -> None:
    made = {(await enter(f"8ABC{n}")).plate for n in range(5)}
    seen, token = [], ""
    while True:
        page, token = await entries.page([AGENCY], "local", token, 2)
        seen += [e.plate for e in page]
        if not token:
            break
    assert (set(seen), len(seen)) == (made, 5)
    with pytest.raises(PlatewardError):
        await entries.page([AGENCY], "local", "not-a-token", 2)


@pytest.mark.req("R-HOT-1")
async def test_a_read_that_comes_again_raises_its_hit_once(pool, enter, raise_hit) -> None:
    await enter()
    seen = read()
    await raise_hit(seen)
    # A crash before the cursor was kept: the same reads come again.
    async with pool.connection() as connection:
        await connection.execute("UPDATE follower SET cursor = ''")
    assert len(await raise_hit(seen, read("7XYZ999"))) == 1


@pytest.mark.req("R-HOT-1")
async def test_a_read_that_is_matched_while_its_entry_is_put_in_anothers_place_is_not_missed(
    pool, enter, raise_hit
) -> None:
    made = await enter()
    await raise_hit(read("7XYZ999"))
    names = "agency_id, list_id, plate, state, vehicle_type, category, reason, case_number, expires_at, max_action, created_by, created_at, approved_by, approved_at"
    async with pool.connection() as swap:
        await swap.execute(
            "UPDATE entries SET removed_at = %s, removed_by = 'source' WHERE entry_id = %s",
            (NOW, made.entry_id),
        )
        await swap.execute(
            f"INSERT INTO entries (entry_id, colour, {names}) SELECT gen_random_uuid(), 'black', {names} FROM entries WHERE entry_id = %s",
            (made.entry_id,),
        )
        matching = asyncio.create_task(raise_hit(read()))
        await asyncio.sleep(0.3)
        assert not matching.done(), "the matcher did not wait for the swap: the test tests nothing"
        await swap.commit()
    [hit] = await asyncio.wait_for(matching, 10)
    assert (hit.entry.colour, hit.entry.entry_id != made.entry_id) == ("black", True)


async def test_a_matcher_whose_cursor_was_moved_does_nothing(matcher, enter, hits) -> None:
    await enter()
    await matcher.cursor()
    batch = reads_pb2.FollowReadsResponse(reads=[read()], cursor="1:1")
    ends = await asyncio.gather(*(matcher.take("", batch) for _ in range(3)), return_exceptions=True)
    assert sorted(map(repr, ends)) == ["1", "MovedError()", "MovedError()"]
    with pytest.raises(MovedError):
        await matcher.take("9:9", batch)
    assert await hits.last_sequence() == 1


async def _claim(hits, hit, member):
    return await hits.step(
        hit.hit_id, decision(), member, lambda h: states.claim(h, member.member_id), Writes("claimed")
    )


@pytest.mark.req("R-HOT-2")
async def test_two_who_claim_at_once_one_has_it(hits, enter, raise_hit) -> None:
    await enter()
    [hit] = await raise_hit()
    ends = await asyncio.gather(
        _claim(hits, hit, OFFICER), _claim(hits, hit, SUPERVISOR), return_exceptions=True
    )
    [lost] = [end for end in ends if isinstance(end, PlatewardError)]
    assert lost.reason == errors_pb2.ERROR_REASON_HIT_CLAIMED
    [won] = [end for end in ends if not isinstance(end, PlatewardError)]
    assert won.after.verifier_id in ("m-1042", "m-1077")
    assert len(won.after.verifications) == 1


async def _verify(hits, hit, state=SAME, vehicle=SAME):
    await _claim(hits, hit, OFFICER)
    await hits.step(
        hit.hit_id, decision(), OFFICER,
        lambda h: states.compare(h, "m-1042", plate=SAME, state=state, vehicle=vehicle), Writes("the same"),
    )  # fmt: skip
    return await hits.step(
        hit.hit_id, decision(), OFFICER,
        lambda h: states.check_records(h, "m-1042", hit_pb2.RECORDS_RESULT_CONFIRMED, "", reference="desk 4"),
        Writes("in force"),
    )  # fmt: skip


async def _act(hits, hit):
    return await hits.step(
        hit.hit_id, decision(), OFFICER, lambda h: states.act(h, hit_pb2.HIT_ACTION_STOP),
        Writes("stopped", action=hit_pb2.HIT_ACTION_STOP),
    )  # fmt: skip


@pytest.mark.req("R-HOT-2")
async def test_a_hit_is_acted_on_after_a_person_verified_it(pool, hits, enter, raise_hit) -> None:
    await enter()
    [hit] = await raise_hit()
    await keep_picture(pool, hit.hit_id)
    with pytest.raises(PlatewardError) as refused:
        await _act(hits, hit)
    assert _reason(refused) == errors_pb2.ERROR_REASON_HIT_UNVERIFIED
    confirmed = (await _verify(hits, hit)).after
    assert [v.state for v in confirmed.verifications] == [2, 3, 4]
    assert confirmed.verifications[0].member_name == "Ofc. Dana Reyes"
    assert confirmed.verifications[0].at.ToDatetime() == NOW.replace(tzinfo=None)
    acted = (await _act(hits, hit)).after
    assert (acted.state, acted.action) == (hit_pb2.HIT_STATE_ACTED, hit_pb2.HIT_ACTION_STOP)


async def _release(hits, hit, member):
    return await hits.step(
        hit.hit_id, decision(), member, lambda h: states.release(h, member.member_id, timedelta(hours=1)),
        Writes("released; end of shift"),
    )  # fmt: skip


@pytest.mark.req("R-HOT-2")
async def test_a_hit_that_was_handed_back_is_claimed_anew_and_the_steps_stay_on_record(
    hits, enter, raise_hit, clock
) -> None:
    await enter()
    [hit] = await raise_hit()
    await _claim(hits, hit, OFFICER)
    with pytest.raises(PlatewardError, match="60 minutes") as refused:
        await _release(hits, hit, SUPERVISOR)
    assert _reason(refused) == errors_pb2.ERROR_REASON_HIT_CLAIMED
    back = (await _release(hits, hit, OFFICER)).after
    assert (back.state, back.verifier_id) == (hit_pb2.HIT_STATE_RAISED, "")
    await _claim(hits, hit, OFFICER)
    clock.time = NOW + timedelta(hours=1)
    await _release(hits, hit, SUPERVISOR)
    taken = (await _claim(hits, hit, SUPERVISOR)).after
    assert taken.verifier_id == "m-1077"
    assert [(v.member_id, v.state) for v in taken.verifications] == [
        ("m-1042", 2), ("m-1042", 1), ("m-1042", 2), ("m-1077", 1), ("m-1077", 2),
    ]  # fmt: skip


HIDDEN = hit_pb2.COMPARISON_NOT_VISIBLE


@pytest.mark.req("R-HOT-2")
@pytest.mark.parametrize(
    ("state", "vehicle", "pictured", "doubts"),
    [
        (HIDDEN, SAME, True, ["issuing state not seen by the verifier"]),
        (SAME, HIDDEN, True, ["vehicle not seen by the verifier"]),
        (SAME, SAME, False, ["no picture to compare is kept with the hit"]),
        (HIDDEN, HIDDEN, False, ["issuing state not seen by the verifier", "vehicle not seen by the verifier", "no picture to compare is kept with the hit"]),
    ],
)  # fmt: skip
async def test_what_nobody_saw_is_a_lead_that_says_so(
    pool, hits, enter, raise_hit, state, vehicle, pictured, doubts
) -> None:
    await enter()
    [hit] = await raise_hit()
    assert hit.max_action == hit_pb2.MAX_ACTION_STOP
    if pictured:
        await keep_picture(pool, hit.hit_id)
    confirmed = (await _verify(hits, hit, state, vehicle)).after
    assert (confirmed.state, confirmed.max_action) == (hit_pb2.HIT_STATE_CONFIRMED, hit_pb2.MAX_ACTION_LEAD)
    assert list(confirmed.demotions) == doubts
    with pytest.raises(PlatewardError, match="lead at most"):
        await _act(hits, hit)


@pytest.mark.req("R-HOT-3")
async def test_a_hit_on_a_list_that_became_too_old_meanwhile_is_a_lead_that_says_so(
    pool, hits, enter, raise_hit, clock
) -> None:
    made = await enter()
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO lists (agency_id, list_id, source, mapping, as_of, stale_after_s, max_action, version) "
            "VALUES (%s, %s, 'NCIC', 'ncic', %s, 86400, 3, 1)",
            (AGENCY, made.list_id, NOW),
        )
    [hit] = await raise_hit()
    await keep_picture(pool, hit.hit_id)
    assert (await _verify(hits, hit)).after.max_action == hit_pb2.MAX_ACTION_STOP
    clock.time = NOW + timedelta(days=3)
    [shown] = (await hits.page(decision(), hit_pb2.HIT_STATE_CONFIRMED, PAGE))[0]
    assert (shown.max_action, list(shown.demotions)) == (
        hit_pb2.MAX_ACTION_LEAD, ["list too old: 3 d, the most is 1 d"],
    )  # fmt: skip
    with pytest.raises(PlatewardError, match="lead at most"):
        await _act(hits, hit)
    # What is done stands with what was known then.
    done = await hits.step(
        hit.hit_id, decision(), OFFICER, lambda h: states.act(h, hit_pb2.HIT_ACTION_INVESTIGATE),
        Writes("looked into", action=hit_pb2.HIT_ACTION_INVESTIGATE),
    )  # fmt: skip
    clock.time = NOW + timedelta(days=9)
    [later] = (await hits.page(decision(), hit_pb2.HIT_STATE_ACTED, PAGE))[0]
    assert list(later.demotions) == list(done.after.demotions) == ["list too old: 3 d, the most is 1 d"]
    assert later.max_action == hit_pb2.MAX_ACTION_LEAD


@pytest.mark.req("R-HOT-2")
async def test_the_database_itself_refuses_an_action_on_an_unverified_hit(pool, enter, raise_hit) -> None:
    await enter()
    await raise_hit()
    for change in ("action = 1", "state = 4", "rejection = 1"):
        async with pool.connection() as connection:
            with pytest.raises(psycopg.errors.CheckViolation):
                await connection.execute(f"UPDATE hits SET {change}")
            await connection.rollback()


async def test_an_entry_that_is_gone_confirms_nothing(pool, entries, hits, enter, raise_hit) -> None:
    made = await enter()
    [late, early] = await raise_hit(read(), read())
    await keep_picture(pool, early.hit_id)
    await _verify(hits, early)
    await _claim(hits, late, OFFICER)
    await entries.remove(made.entry_id, [AGENCY], "m-1077", "vehicle recovered")
    stale = await hits.step(
        late.hit_id, decision(), OFFICER,
        lambda h: states.compare(h, "m-1042", plate=SAME, state=SAME, vehicle=SAME), Writes(),
    )  # fmt: skip
    assert stale.after.rejection == hit_pb2.REJECTION_STALE
    with pytest.raises(PlatewardError, match="removed"):
        await _act(hits, early)


async def test_what_is_seen_is_bounded(hits, enter, raise_hit, clock) -> None:
    await enter()
    [hit] = await raise_hit()
    page = hits.page
    assert (await page(None, hit_pb2.HIT_STATE_UNSPECIFIED, PAGE))[0] == []
    assert (await page(decision("galt-pd"), hit_pb2.HIT_STATE_UNSPECIFIED, PAGE))[0] == []
    assert (await page(decision(AGENCY, camera_ids=["cam-9"]), hit_pb2.HIT_STATE_UNSPECIFIED, PAGE))[0] == []
    assert (await page(decision(), hit_pb2.HIT_STATE_CLAIMED, PAGE))[0] == []
    with pytest.raises(PlatewardError) as refused:
        await page(decision(AGENCY, masked_fields=["place"]), hit_pb2.HIT_STATE_UNSPECIFIED, PAGE)
    assert _reason(refused) == errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE
    with pytest.raises(PlatewardError) as refused:
        await hits.step(hit.hit_id, decision("galt-pd"), OFFICER, lambda h: states.claim(h, "g-1"), Writes())
    assert _reason(refused) == errors_pb2.ERROR_REASON_NOT_FOUND
    clock.time = NOW + timedelta(days=30)
    assert (await page(decision(), hit_pb2.HIT_STATE_UNSPECIFIED, PAGE))[0] == []


async def test_hits_come_in_pages_newest_first(hits, enter, raise_hit) -> None:
    await enter()
    await raise_hit(*(read() for _ in range(5)))
    first, token = await hits.page(decision(), hit_pb2.HIT_STATE_RAISED, types_pb2.PageRequest(size=3))
    rest, end = await hits.page(
        decision(), hit_pb2.HIT_STATE_RAISED, types_pb2.PageRequest(size=3, token=token)
    )
    assert (len(first), len(rest), end) == (3, 2, "")
    assert len({hit.hit_id for hit in first + rest}) == 5
    with pytest.raises(PlatewardError):
        await hits.page(decision(), hit_pb2.HIT_STATE_RAISED, types_pb2.PageRequest(token="x"))


@pytest.mark.req("R-HOT-1")
async def test_a_stream_is_woken_resumes_and_ends_when_draining(hits, enter, raise_hit, waker) -> None:
    await enter()
    await raise_hit()
    draining = asyncio.Event()
    listening = asyncio.create_task(waker.run())
    await asyncio.wait_for(waker.moment.wait(), 5)
    streams = Streams(hits, waker, draining, 60.0)
    stream = streams.stream(decision(), "")
    first = await asyncio.wait_for(anext(stream), 5)
    assert (first.cursor, first.HasField("hit")) == ("1", False)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    await raise_hit()
    assert (await asyncio.wait_for(waiting, 5)).cursor == "2"
    resumed = streams.stream(decision(), "0")
    assert [(await anext(resumed)).cursor for _ in range(2)] == ["1", "2"]
    waiting = asyncio.ensure_future(anext(resumed))
    await asyncio.sleep(0.05)
    draining.set()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    listening.cancel()
    await stream.aclose()
    with pytest.raises(PlatewardError) as refused:
        await anext(Streams(hits, waker, asyncio.Event(), 1.0).stream(decision(), "99"))
    assert _reason(refused) == errors_pb2.ERROR_REASON_CURSOR_INVALID


@pytest.mark.req("R-REC-2")
async def test_no_column_can_carry_a_person_seen(pool) -> None:
    async with pool.connection() as connection:
        found = await connection.execute(
            "SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public'"
        )
        names = {row["name"] for row in await found.fetchall()}
    words = {
        "person",
        "face",
        "gender",
        "race",
        "ethnicity",
        "driver",
        "occupant",
        "owner",
        "age",
        "sex",
        "passenger",
    }
    assert not {name for name in names if words & set(name.split(".")[1].split("_"))}
    # The only names are those of members, who answer for what they did.
    assert {name for name in names if name.endswith("_name")} == {"verifications.member_name"}
