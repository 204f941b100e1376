"""The detectors on the log itself: flags that are stored, told once, on record, and the same after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import DictRow

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2
from servicekit.clock import Clock
from servicekit.database import open_pool
from services.audit.misuse.follower import WINDOW, Follower
from services.audit.misuse.store import FlagStore
from services.audit.model import Sealer
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store
from tests.common.events import event

pytestmark = pytest.mark.req("R-AUD-3")
Log = tuple[Sequencer, Store, Sealer]
NOW = datetime.now(UTC)
KEY = b"k" * 32


@pytest.fixture
async def flags(log: Log, settings: AuditSettings) -> AsyncIterator[FlagStore]:
    pool = await open_pool(settings)
    yield FlagStore(pool, log[2], KEY)
    await pool.close()


def follower(log: Log, flags: FlagStore) -> Follower:
    return Follower(flags, log[2], log[0].append, Clock())


async def look(log: Log, at: datetime, plate: str = "8HER123", member: str = "m-1666") -> None:
    made = event(plate, phase=event_pb2.PHASE_OUTCOME)
    made.occurred_at.FromDatetime(at)
    made.subject.member_id = member
    made.purpose.case_number = ""
    made.outcome.status = "OK"
    await log[0].append(made)


async def milwaukee(log: Log, first: int = 0, last: int = 179) -> None:
    for n in range(first, last):
        await look(
            log,
            NOW - timedelta(days=31) + timedelta(days=30 * n / 179),
            "8HER123" if n % 5 < 3 else "7EXX987",
        )


async def all_of_it(one: Follower) -> None:
    while await one.step(NOW - WINDOW):
        pass


async def told(flags: FlagStore) -> list[tuple[str, str, int]]:
    found = await flags.page("elk-grove-pd", "", 100, with_disposed=True)
    return sorted((f.flag.detector, f.flag.subject, len(f.flag.indexes)) for f in found)


async def test_a_stalker_in_the_log_is_flagged_and_each_flag_is_an_event(log: Log, flags: FlagStore) -> None:
    await milwaukee(log)
    await all_of_it(follower(log, flags))
    found = await told(flags)
    assert {(d, s) for d, s, _ in found if d == "repeat-target"} == {
        ("repeat-target", "8HER123"),
        ("repeat-target", "7EXX987"),
    }
    terms = [("action", log[2].term("action", str(action_pb2.ACTION_CONDUCT_AUDIT)))]
    events = await log[1].search(terms, None, None, None, 100)
    assert len(events) == len(found)
    opened = log[2].open(events[0].entry, events[0].sealed, events[0].wrapped_key)
    assert "times on" in opened.change.summary


async def test_a_restart_tells_nothing_twice_and_goes_on(log: Log, flags: FlagStore) -> None:
    await milwaukee(log, 0, 90)
    await all_of_it(follower(log, flags))
    before = await told(flags)
    again = follower(log, flags)
    await all_of_it(again)
    assert await told(flags) == before
    await milwaukee(log, 90, 179)
    await all_of_it(follower(log, flags))
    after = await told(flags)
    assert len(after) > len(before)
    assert set(before) <= set(after)


async def test_a_crash_between_the_event_and_the_flag_leaves_one_of_each(log: Log, flags: FlagStore) -> None:
    await milwaukee(log, 0, 40)
    broken = follower(log, flags)
    broken._store = BreaksOnce(flags)  # type: ignore[assignment]
    with pytest.raises(ConnectionError):
        await all_of_it(broken)
    await all_of_it(follower(log, flags))
    found = await told(flags)
    terms = [("action", log[2].term("action", str(action_pb2.ACTION_CONDUCT_AUDIT)))]
    assert found
    assert len(await log[1].search(terms, None, None, None, 100)) == len(found)


class BreaksOnce:
    """The real store, away at the moment at which a flag is to be kept."""

    def __init__(self, store: FlagStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def add(self, flag_id: str, flag: object) -> None:
        raise ConnectionError


async def test_a_canary_is_flagged_at_the_first_look_and_kept_as_a_digest_only(
    log: Log, flags: FlagStore
) -> None:
    await flags.protect(
        "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa", "elk-grove-pd", log[2].term("plate", "8COP911"), active=True
    )
    await look(log, NOW, "8COP911")
    await all_of_it(follower(log, flags))
    assert [d for d, _, _ in await told(flags)] == ["own-or-colleague"]
    rows = await flags._all("SELECT sealed FROM flags", ())
    assert all(b"8COP911" not in bytes(r["sealed"]) for r in rows)
    await flags.protect(
        "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0ab", "elk-grove-pd", log[2].term("plate", "8COP911"), active=False
    )
    assert await flags.protected("elk-grove-pd") == frozenset()


async def test_the_id_of_a_flag_tells_nothing_without_the_key(log: Log, flags: FlagStore) -> None:
    await milwaukee(log, 0, 40)
    await all_of_it(follower(log, flags))
    flag = (await flags.page("elk-grove-pd", "", 1, with_disposed=True))[0]
    other = FlagStore(flags._pool, log[2], b"o" * 32)
    assert flag.flag_id == flags.flag_id(flag.flag) != other.flag_id(flag.flag)


async def test_pages_hold_what_is_open_and_end(log: Log, flags: FlagStore) -> None:
    await milwaukee(log)
    await all_of_it(follower(log, flags))
    everything = await flags.page("elk-grove-pd", "", 100, with_disposed=True)
    assert await flags.page("galt-pd", "", 100, with_disposed=True) == []
    first = everything[0].flag_id
    await flags.dispose(
        "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa",
        first,
        NOW,
        {"finding": "violation", "note": "", "by": "m-2001"},
    )
    seen, before = [], ""
    while page := await flags.page("elk-grove-pd", before, 2, with_disposed=False):
        seen += [f.flag_id for f in page]
        before = page[-1].flag_id
    assert seen == [f.flag_id for f in everything[1:]]
    assert (await flags.one("elk-grove-pd", first)).finding == "violation"  # type: ignore[union-attr]
    assert all(UUID(f).version == 7 for f in seen)


async def test_looks_are_found_by_their_index_not_by_reading_the_log(
    log: Log, flags: FlagStore, settings: AuditSettings
) -> None:
    seen: list[str] = []

    class Explaining(FlagStore):
        async def _all(self, query: str, values: tuple[Any, ...]) -> list[DictRow]:
            rows = await super()._all(f"EXPLAIN {query}", values)
            seen.extend(str(next(iter(row.values()))) for row in rows)
            return []

    for n in range(40):
        await log[0].append(event(f"7ABC{n:03}"))
    # A table of a few rows is read whole whatever indexes it has.
    pool = await open_pool(settings, options="-c enable_seqscan=off -c enable_bitmapscan=off")
    try:
        await Explaining(pool, log[2], KEY).looks_after(-1, NOW - WINDOW)
    finally:
        await pool.close()
    assert any("entries_looks" in line for line in seen), seen
