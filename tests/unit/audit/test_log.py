"""The log on a real PostgreSQL: places, receipts, tampering, restarts, secrecy."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from clients.cli.audit_verdict import Verdict
from clients.cli.audit_verify import Trust, verify_export
from plateward.common.v1 import errors_pb2, receipt_pb2
from servicekit.errors import PlatewardError
from services.audit.export import export
from services.audit.model import SealedEntryError, Sealer
from services.audit.sequencer import LogStateError, Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store
from tests.common.audit_log import opened
from tests.common.events import event
from tlog.receipt import Receipt

Log = tuple[Sequencer, Store, Sealer]


async def fill(log: Log, count: int) -> list[receipt_pb2.Receipt]:
    return list(await asyncio.gather(*(log[0].append(event()) for _ in range(count))))


async def exported(log: Log, target: Path) -> Path:
    sequencer, store, _ = log
    files = export(store, sequencer.tiles, sequencer.size, sequencer.note, sequencer.verifiers, payloads=True)
    async for name, data in files:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return target


def superuser(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)


def verdict_of(target: Path) -> Verdict:
    return verify_export(target, [], Trust())


@pytest.mark.req("R-AUD-1")
async def test_every_receipt_verifies_and_no_index_is_used_twice(log: Log) -> None:
    receipts = await fill(log, 700)
    assert sorted(r.index for r in receipts) == list(range(700))
    for r in receipts:
        Receipt(r.event_id, r.index, r.leaf_hash, r.checkpoint, tuple(r.inclusion_proof)).verify(
            log[0].verifiers
        )


@pytest.mark.req("R-AUD-1")
async def test_the_same_event_has_one_place_and_another_with_its_id_is_refused(log: Log) -> None:
    first = event()
    one, two = await asyncio.gather(log[0].append(first), log[0].append(first))
    again = await log[0].append(first)
    assert one.index == two.index == again.index
    other = event(event_id=first.event_id, service="hotlist")
    with pytest.raises(PlatewardError) as caught:
        await log[0].append(other)
    assert caught.value.reason == errors_pb2.ERROR_REASON_ALREADY_EXISTS


@pytest.mark.req("R-AUD-1")
async def test_an_untouched_log_verifies(log: Log, tmp_path: Path) -> None:
    await fill(log, 300)
    verdict = verdict_of(await exported(log, tmp_path / "export"))
    assert verdict.ok, verdict.checks


TAMPERING = {
    "entry altered": (
        "UPDATE entries SET entry = set_byte(entry, 30, get_byte(entry, 30) # 1) WHERE index = 123",
        "123",
    ),
    "entry removed": ("DELETE FROM entries WHERE index = 123", "123"),
    "entries swapped": (
        "UPDATE entries a SET entry = b.entry FROM entries b WHERE (a.index, b.index) IN ((123, 124), (124, 123))",
        "123",
    ),
    "log cut short": ("DELETE FROM entries WHERE index >= 290", "290"),
    "tile altered": (
        "UPDATE tiles SET data = set_byte(data, 32 * 123, get_byte(data, 32 * 123) # 1) WHERE level = 0 AND index = 0",
        "123",
    ),
    "tile removed": ("DELETE FROM tiles WHERE level = 0 AND index = 0", "tile/0/000 is missing"),
    "time altered": (
        "UPDATE entries SET occurred_at = occurred_at - interval '1 day' WHERE index = 123",
        "entry 123",
    ),
    "result altered": ("UPDATE entries SET status = 'OK' WHERE index = 123", "entry 123"),
    "payload altered": (
        "UPDATE entries SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE index = 123",
        "entry 123",
    ),
    "key altered": (
        "UPDATE payload_keys SET wrapped_key = set_byte(wrapped_key, 9, get_byte(wrapped_key, 9) # 1) WHERE index = 123",
        "entry 123",
    ),
    "key destroyed without an order": ("DELETE FROM payload_keys WHERE index = 123", "entry 123"),
    "search term removed": (
        "DELETE FROM search_keys WHERE index = 123 AND digest = (SELECT min(digest) FROM search_keys WHERE index = 123)",
        "entry 123",
    ),
    "search term moved out of reach": ("UPDATE search_keys SET epoch = 7 WHERE index = 123", "entry 123"),
    "search term added": ("INSERT INTO search_keys VALUES (0, '\\x00', 123)", "entry 123"),
}


@pytest.mark.req("R-AUD-1")
@pytest.mark.parametrize("what", TAMPERING)
async def test_tampering_is_found_and_named(log: Log, database_url: str, tmp_path: Path, what: str) -> None:
    statement, named = TAMPERING[what]
    await fill(log, 300)
    await asyncio.to_thread(superuser, database_url, statement)
    verdict = verdict_of(await exported(log, tmp_path / "export"))
    assert not verdict.ok
    assert named in " ".join(c.result for c in verdict.checks if not c.ok)


@pytest.mark.req("R-AUD-1")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET status = 'OK'",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "DELETE FROM checkpoints",
    ],
)
async def test_the_table_refuses_change(log: Log, database_url: str, statement: str) -> None:
    await fill(log, 3)
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="append-only"),
    ):
        connection.execute(statement)


@pytest.mark.req("R-AUD-1")
async def test_a_restart_goes_on_where_the_log_ended(settings: AuditSettings, tmp_path: Path) -> None:
    async with opened(settings) as log:
        await fill(log, 260)
    async with opened(settings) as log:
        assert (await log[0].append(event())).index == 260
        assert verdict_of(await exported(log, tmp_path / "export")).ok


@pytest.mark.req("R-AUD-1")
async def test_a_log_that_contradicts_itself_does_not_start(
    settings: AuditSettings, database_url: str
) -> None:
    async with opened(settings) as log:
        await fill(log, 10)
    await asyncio.to_thread(superuser, database_url, "DELETE FROM entries WHERE index = 9")
    with pytest.raises(LogStateError, match="plateward audit verify"):
        async with opened(settings):
            pass


@pytest.mark.req("R-ACC-6")
@pytest.mark.req("R-ACC-8")
async def test_the_database_holds_no_name_plate_or_case_in_clear_text(log: Log, database_url: str) -> None:
    await fill(log, 5)
    with psycopg.connect(database_url) as connection:
        for table in ("entries", "payload_keys", "search_keys", "tiles", "checkpoints"):
            with connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
                data = b"".join(bytes(part) for part in copy)
            for secret in (b"8ABC123", b"m-1042", b"Dana", b"26-004312", b"Laguna", b"elk-grove"):
                assert secret not in data, (table, secret)


@pytest.mark.req("R-ACC-6")
async def test_search_finds_what_was_recorded(log: Log) -> None:
    _, store, sealer = log
    wanted = event()
    other = event(service="hotlist")
    other.query[0].value = "5SOW350"
    await log[0].append(wanted)
    await log[0].append(other)
    rows = await store.search([("plate", sealer.term("plate", "8abc123"))], None, None, None, 10)
    assert [sealer.open(r.entry, r.sealed, r.wrapped_key).event_id for r in rows] == [wanted.event_id]
    assert await store.search([("agency", sealer.term("agency", "galt-pd"))], None, None, None, 10) == []


@pytest.mark.req("R-AUD-1")
def test_destroying_the_key_seals_the_payload_and_leaves_the_leaf() -> None:
    sealer = Sealer(bytes(32))
    entry = sealer.seal(event(), datetime.now(UTC))
    assert sealer.open(entry.entry, entry.row.sealed, entry.wrapped_key).subject.member_id == "m-1042"
    with pytest.raises(SealedEntryError):
        sealer.open(entry.entry, entry.row.sealed, None)
