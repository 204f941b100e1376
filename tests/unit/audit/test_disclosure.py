"""Disclosure for one recipient, provable alone; sealing that the log itself shows; roles; a second replica."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clients.cli.audit_disclosure import check, decrypt
from clients.devkit.postgres import as_role
from servicekit.crypto import UnsealError
from servicekit.errors import PlatewardError
from services.audit.disclosure import Disclosure, Sealing, encrypt, recipient_key
from services.audit.keys import KeyUnavailableError, log_keys, master_key
from services.audit.settings import AuditSettings
from tests.common.audit_log import opened
from tests.common.events import event
from tests.unit.audit.test_log import exported, fill, verdict_of
from tlog.checkpoint import open_checkpoint


def pair() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


async def package(log: Any) -> dict[str, Any]:
    sequencer, store, sealer = log
    data, _ = await Disclosure(store, sealer, sequencer.tiles).package(
        "elk-grove-pd",
        "8ABC123",
        "subpoena 26CV00871",
        sequencer.size,
        sequencer.note,
        [str(k) for k in sequencer.verifiers],
    )
    private, public = pair()
    return decrypt(encrypt(data, recipient_key(public)), private)


@pytest.mark.req("R-ACC-6")
async def test_counsel_alone_proves_each_look(settings: AuditSettings) -> None:
    async with opened(settings) as log:
        await fill(log, 3)
        await log[0].append(event(plate="5SOW350"))
        told = await package(log)
        assert [e["index"] for e in told["entries"]] == [0, 1, 2]
        assert told["entries"][0]["event"]["subject"]["member_name"] == "Dana Reyes"
        assert check(told) == {}
        told["entries"][1]["payload"] = told["entries"][2]["payload"]
        told["entries"][2]["leaf"] = told["entries"][0]["leaf"]
        assert set(check(told)) == {1, 2}


def test_only_the_recipient_reads_it() -> None:
    private, public = pair()
    sealed = encrypt(b"{}", recipient_key(public))
    assert decrypt(sealed, private) == {}
    with pytest.raises(UnsealError):
        decrypt(sealed, pair()[0])
    with pytest.raises(UnsealError):
        decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), private)
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = p384.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for wrong in (b"no key", pem):
        with pytest.raises(PlatewardError, match="P-256"):
            recipient_key(wrong)


@pytest.fixture
def two_roles(settings: AuditSettings, database_url: str) -> AuditSettings:
    with psycopg.connect(database_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'log_service'").fetchone():
            connection.execute("CREATE ROLE log_service LOGIN")
    return settings.model_copy(
        update={"database_url": type(settings.database_url)(as_role(database_url, "log_service")), "owner_database_url": settings.database_url}
    )  # fmt: skip


@pytest.mark.req("R-AUD-1")
async def test_the_services_role_can_add_and_read_and_nothing_else(two_roles: AuditSettings) -> None:
    async with opened(two_roles) as log:
        await fill(log, 300)
    url = two_roles.database_url.get_secret_value()
    for statement in (
        "UPDATE entries SET status = ''", "DELETE FROM entries", "TRUNCATE entries", "DELETE FROM payload_keys", "UPDATE checkpoints SET note = ''",
        "DELETE FROM search_keys", "DROP TABLE tiles", "ALTER TABLE entries DISABLE TRIGGER ALL", "SET session_replication_role = replica",
        "DELETE FROM audit_records", "DELETE FROM flags", "CREATE TABLE x (y int)",
    ):  # fmt: skip
        with (
            psycopg.connect(url, autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


@pytest.mark.req("R-AUD-1")
async def test_a_sealed_entry_is_gone_for_ever_and_the_log_says_why(
    two_roles: AuditSettings, tmp_path: Path
) -> None:
    async with opened(two_roles) as log:
        await fill(log, 5)
        sealing = Sealing(two_roles, log[1])
        await sealing.finish()
        await log[0].append(event(action=32, phase=3), seals=2)
        # A crash comes between the order and the destruction: the next start carries it out.
        assert (await log[1].payloads(2, 3))[0].wrapped_key is not None
        await sealing.finish()
        assert (await log[1].payloads(2, 3))[0].wrapped_key is None
        told = await package(log)
        assert "by order" in told["entries"][2]["sealed"]
        assert check(told) == {}
        verdict = verdict_of(await exported(log, tmp_path / "export"))
        assert verdict.ok, verdict.checks
        assert any("sealed by order" in note for note in verdict.notes)


async def test_without_the_owner_nothing_is_sealed(settings: AuditSettings) -> None:
    with pytest.raises(PlatewardError, match="OWNER_DATABASE_URL"):
        Sealing(settings, None).check()  # type: ignore[arg-type]


@pytest.mark.req("R-AUD-1")
async def test_a_second_replica_waits_and_takes_over_without_gap_or_fork(
    settings: AuditSettings, tmp_path: Path
) -> None:
    async with opened(settings) as first:
        await fill(first, 40)
        entered = asyncio.Event()
        results: list[Any] = []

        async def standby() -> None:
            async with opened(settings) as second:
                entered.set()
                results.extend(await fill(second, 40))
                results.append(verdict_of(await exported(second, tmp_path / "export")))

        task = asyncio.create_task(standby())
        await asyncio.sleep(1.5)
        assert not entered.is_set()
        # The first loses its connection, as when its machine is gone: its next append fails, it is fenced out.
        assert first[0]._connection is not None
        await first[0]._connection.close()
        await asyncio.wait_for(task, 30)
        assert sorted(r.index for r in results[:-1]) == list(range(40, 80))
        assert results[-1].ok


@pytest.mark.req("R-AUD-1")
async def test_the_signing_key_changes_without_a_checkpoint_that_somebody_cannot_check(
    settings: AuditSettings, tmp_path: Path
) -> None:
    old = log_keys(settings)[0].verifier
    both = settings.model_copy(update={"next_log_key_file": tmp_path / "next"})
    async with opened(both) as log:
        await fill(log, 3)
        new = log_keys(both)[1].verifier
        for key in (old, new):
            assert open_checkpoint(log[0].note, [key]).checkpoint.size == 3
    later = settings.model_copy(update={"log_key_file": tmp_path / "next", "earlier_log_keys": [str(old)]})
    async with opened(later) as log:
        await fill(log, 2)
        assert open_checkpoint(log[0].note, [new]).checkpoint.size == 5
        assert [k.key_id for k in log[0].verifiers] == [new.key_id, old.key_id]


async def test_the_master_key_may_come_from_a_command(settings: AuditSettings) -> None:
    good = settings.model_copy(update={"master_key_command": f"printf {'ab' * 32}"})
    assert await master_key(good) == bytes.fromhex("ab" * 32)
    for wrong in ("printf abc", "printf zz", "false"):
        with pytest.raises(KeyUnavailableError, match="MASTER_KEY_COMMAND"):
            await master_key(settings.model_copy(update={"master_key_command": wrong}))
