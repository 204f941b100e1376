"""Publishing with a real witness over HTTP: cosigned, held back, refused, taken up again; and the public log as outsiders see it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from clients.witness.pull import PullError, pull
from clients.witness.server import Witness
from clients.witness.state import StateError, WitnessState
from services.audit.metrics import LogMetrics
from services.audit.public import PublicLog, serving
from services.audit.publishing import CosignatureError, Publisher, WitnessSettingError, witnesses_of
from services.audit.settings import AuditSettings
from tests.common.audit_log import opened
from tests.common.events import event
from tests.unit.audit.test_log import fill, superuser
from tlog.checkpoint import open_checkpoint
from tlog.note import KeyType, SignerKey, cosign_note

pytestmark = pytest.mark.req("R-AUD-1")
NAME = "witness.example"
ROOT = Path(__file__).resolve().parents[3]


class Outside:
    """A witness and the address it listens on."""

    def __init__(self, folder: Path) -> None:
        self.key = SignerKey.generate(NAME, KeyType.COSIGNATURE_V1)
        self.state = folder / "witness.state"
        self.port = 0

    @asynccontextmanager
    async def up(self, log: list[Any]) -> AsyncIterator[None]:
        runner = web.AppRunner(Witness(self.key, log, WitnessState(self.state)).application())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    made = Outside(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made.port = probe.getsockname()[1]
    return made


@pytest.fixture
def witnessed(settings: AuditSettings, outside: Outside) -> AuditSettings:
    return settings.model_copy(
        update={
            "witnesses": [f"{outside.key.verifier} http://127.0.0.1:{outside.port}"],
            "witness_quorum": 1,
            "witness_interval_s": 0.05,
        }
    )


@asynccontextmanager
async def running(settings: AuditSettings) -> AsyncIterator[tuple[Any, Publisher]]:
    async with opened(settings) as log:
        publisher = Publisher(settings, log[0], log[1], LogMetrics(CollectorRegistry()))
        await publisher.open()
        task = asyncio.create_task(publisher.run())
        try:
            yield log, publisher
        finally:
            task.cancel()


async def test_what_is_published_is_cosigned_and_a_witness_that_is_away_only_holds_it_back(
    witnessed: AuditSettings, outside: Outside
) -> None:
    async with running(witnessed) as (log, publisher):
        await fill(log, 5)
        await publisher.catch_up(0.3)
        assert publisher.published == (0, "")
        assert publisher.lag == 5
        async with outside.up(log[0].verifiers):
            await publisher.catch_up(5)
            size, note = publisher.published
            assert size == 5
            opened_note = open_checkpoint(note, log[0].verifiers, witnesses=[outside.key.verifier], quorum=1)
            assert opened_note.checkpoint.size == 5
            await fill(log, 300)
            await publisher.catch_up(5)
            assert publisher.published[0] == 305
        await fill(log, 1)
        await publisher.catch_up(0.3)
        assert (publisher.published[0], publisher.lag) == (305, 1)
    async with running(witnessed) as (log, publisher), outside.up(log[0].verifiers):
        assert publisher.published[0] == 305
        await publisher.catch_up(5)
        assert publisher.published[0] == 306


async def test_a_rewritten_log_is_refused_and_the_evidence_kept(
    witnessed: AuditSettings, outside: Outside, database_url: str
) -> None:
    """The operator has every key and rewrites the log from scratch; the outsider's one file tells."""
    async with running(witnessed) as (log, publisher), outside.up(log[0].verifiers):
        await fill(log, 20)
        await publisher.catch_up(5)
    tables = "entries, payload_keys, search_keys, tiles, checkpoints, cosignatures"
    await asyncio.to_thread(superuser, database_url, f"TRUNCATE {tables}")
    async with running(witnessed) as (log, publisher), outside.up(log[0].verifiers):
        await fill(log, 20)
        await publisher.catch_up(0.5)
        assert publisher.published == (0, "")
        kept = WitnessState(outside.state).logs()[witnessed.origin]
        assert kept.evidence
        await fill(log, 20)
        await publisher.catch_up(0.5)
        assert publisher.published == (0, "")


async def test_a_witness_with_its_own_times_pushes_its_cosignature(
    witnessed: AuditSettings, outside: Outside
) -> None:
    async with running(witnessed) as (log, publisher):
        await log[0].append(event())
        note = cosign_note(log[0].note, outside.key, 1_764_000_000)
        assert "witness.example" in await publisher.add(note)
        assert publisher.published[0] == 1
        stranger = SignerKey.generate("stranger.example", KeyType.COSIGNATURE_V1)
        with pytest.raises(CosignatureError):
            await publisher.add(cosign_note(log[0].note, stranger, 1_764_000_000))


def test_wrong_settings_are_named(settings: AuditSettings, outside: Outside) -> None:
    for witnesses, quorum, named in (
        (["nokey http://a"], 0, "WITNESSES"),
        ([f"{SignerKey.generate('x').verifier} http://a"], 0, "type 4"),
        ([f"{outside.key.verifier} http://a"], 2, "QUORUM"),
    ):
        wrong = settings.model_copy(update={"witnesses": witnesses, "witness_quorum": quorum})
        with pytest.raises(WitnessSettingError, match=named):
            witnesses_of(wrong)


def test_a_witness_does_not_start_on_a_damaged_memory(tmp_path: Path) -> None:
    path = tmp_path / "witness.state"
    for damaged in ("", "{", '{"logs": []}', '{"logs": {"a": {"note": "x", "evidence": [], "earlier": []}}}'):
        path.write_text(damaged)
        with pytest.raises(StateError, match="restore it"):
            WitnessState(path)


@pytest.fixture
async def public(settings: AuditSettings) -> AsyncIterator[tuple[str, Any]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with (
        running(settings) as (log, publisher),
        serving(PublicLog(log[0], publisher, log[1]), f"127.0.0.1:{port}"),
    ):
        yield f"http://127.0.0.1:{port}", log


async def test_the_public_log_serves_tiles_and_nothing_else(public: tuple[str, Any]) -> None:
    url, log = public
    await fill(log, 700)
    async with aiohttp.ClientSession() as session:
        for path, status in (
            ("checkpoint", 200), ("log.vkey", 200), ("tile/0/000", 200), ("tile/0/002.p/188", 200), ("tile/1/000.p/2", 200),
            ("tile/entries/000", 200), ("tile/entries/002.p/188", 200), ("tile/0/003", 404), ("tile/0/002.p/189", 404),
            ("tile/entries/../checkpoint", 404), ("tile/0/000%00", 404), ("payload/000", 404), ("", 404),
        ):  # fmt: skip
            async with session.get(f"{url}/{path}") as answer:
                assert answer.status == status, path
                if path == "tile/0/000":
                    assert "immutable" in answer.headers["Cache-Control"]
                    assert len(await answer.read()) == 8192


async def test_an_outsider_checks_the_public_log_without_a_port_of_his_own(
    public: tuple[str, Any], tmp_path: Path, database_url: str
) -> None:
    url, log = public
    state = WitnessState(tmp_path / "s")
    for count, before in ((1, 0), (300, 1), (70, 301)):
        await fill(log, count)
        old, after = await asyncio.to_thread(pull, url, log[0].verifiers, state)
        assert (old, after.size) == (before, before + count)
    tables = "entries, payload_keys, search_keys, tiles, checkpoints"
    await asyncio.to_thread(superuser, database_url, f"TRUNCATE {tables}")
    await log[0]._load()
    await fill(log, 400)
    with pytest.raises(PullError, match="NOT CONSISTENT"):
        await asyncio.to_thread(pull, url, log[0].verifiers, WitnessState(tmp_path / "s"))


async def test_an_independent_implementation_accepts_the_log_and_refuses_an_altered_one(
    public: tuple[str, Any], tmp_path: Path, database_url: str
) -> None:
    """Tessera's fsck, which nobody here wrote, rebuilds the log from its entry bundles and compares every tile and the root."""
    program = ROOT / ".tools" / "tessera-fsck"
    if not program.exists():
        pytest.skip("Tessera's fsck is not installed: `make outsider` builds it (needs Go)")
    url, log = public
    await fill(log, 700)
    key = tmp_path / "key"
    key.write_text(str(log[0].verifiers[0]))

    def accepted() -> bool:
        # With one worker this version hangs at a difference; with four it names them, and ends with 0 all the same.
        command = [str(program), f"--storage_url={url}/", f"--public_key={key}", "--ui=false", "-N=4"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return "Successfully fsck'd log with size 700" in done.stderr

    assert await asyncio.to_thread(accepted)
    alter = "UPDATE entries SET entry = set_byte(entry, 30, get_byte(entry, 30) # 1) WHERE index = 333"
    await asyncio.to_thread(superuser, database_url, alter)
    assert not await asyncio.to_thread(accepted)
