"""``python -m tests.tamper``: alter the stored log as a database superuser, again and again; verification must find each one.

Promise held: no alteration is missed, and the report names the first bad entry: exactly, or, where everything up to the signature was
made anew (a fork), as the span between two checkpoints that the witness kept. Prints a line a kind and ends with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from psycopg.rows import dict_row

from clients.cli.audit_verify import Trust, kept_notes, verify_export
from clients.devkit import postgres
from clients.witness.server import Witness
from clients.witness.state import WitnessState
from services.audit.export import export
from services.audit.metrics import LogMetrics
from services.audit.publishing import Publisher
from services.audit.settings import AuditSettings
from services.audit.store import Store
from services.audit.tiles import RebuiltTiles
from tests.common.alterations import ALTERATIONS, Scene
from tests.common.audit_log import opened
from tests.common.events import event
from tlog.note import KeyType, SignerKey

ENTRIES, BURSTS = 900, 30


@dataclass
class Tally:
    """What became of the alterations of one kind."""

    found: int = 0
    exact: int = 0
    spans: int = 0
    missed: list[str] = field(default_factory=list)


class _OneConnection:
    """A pool of one connection: everything happens in its transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield self._connection


@asynccontextmanager
async def witnessed_log(settings: AuditSettings, folder: Path) -> AsyncIterator[tuple[Any, SignerKey, Path]]:
    """A log with entries, and a witness over HTTP that cosigned it as it grew."""
    key, state = SignerKey.generate("witness.example", KeyType.COSIGNATURE_V1), folder / "witness.state"
    async with opened(settings) as plain:
        keys = plain[0].verifiers
    runner = web.AppRunner(Witness(key, keys, WitnessState(state)).application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    witnessed = settings.model_copy(
        update={"witnesses": [f"{key.verifier} http://127.0.0.1:{port}"], "witness_quorum": 1, "witness_interval_s": 0.01}
    )  # fmt: skip
    async with opened(witnessed) as log:
        publisher = Publisher(witnessed, log[0], log[1], LogMetrics(CollectorRegistry()))
        await publisher.open()
        task = asyncio.create_task(publisher.run())
        for burst in range(BURSTS):
            events = [event(plate=f"7ABC{burst:02}{i:02}") for i in range(ENTRIES // BURSTS)]
            await asyncio.gather(*(log[0].append(e) for e in events))
            await publisher.catch_up(10)
        task.cancel()
        yield log, key, state
    await runner.cleanup()


async def one(
    url: str,
    settings: AuditSettings,
    parts: tuple[Any, SignerKey, Path],
    kind: str,
    rng: random.Random,
    folder: Path,
    tally: Tally,
) -> None:
    """Alter, export, verify, roll back."""
    (sequencer, _, sealer), witness, state = parts
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
        await connection.execute("SET session_replication_role = replica")
        store = Store(_OneConnection(connection))  # type: ignore[arg-type]
        key = SignerKey.parse(settings.log_key_file.read_text().strip())
        scene = Scene(connection, store, rng, sequencer.size, sealer, key, settings.origin)
        first = await ALTERATIONS[kind](scene)
        size, notes = await store.cosigned(1)
        latest = await store.latest_checkpoint()
        if not notes:
            assert latest is not None
            size, notes = latest[0], [latest[1]]
        tiles = RebuiltTiles(store) if scene.restarted else sequencer.tiles
        shutil.rmtree(folder, ignore_errors=True)
        async for name, data in export(store, tiles, size, notes[0], sequencer.verifiers, payloads=True):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        await connection.rollback()
    trust = Trust([str(k) for k in sequencer.verifiers], [str(witness.verifier)], seen=kept_notes(state))
    verdict = verify_export(folder, [], trust)
    if verdict.ok:
        tally.missed.append(f"{kind} at {first}")
        return
    tally.found += 1
    tally.exact += verdict.first_bad == first
    tally.spans += verdict.first_bad is not None and first - ENTRIES // BURSTS <= verdict.first_bad < first


async def run(count: int, seed: int, settings: AuditSettings, url: str, folder: Path) -> dict[str, Tally]:
    """Alter ``count`` times; return a tally for each kind."""
    rng = random.Random(seed)
    tallies = {kind: Tally() for kind in ALTERATIONS}
    async with witnessed_log(settings, folder) as parts:
        for number in range(count):
            kind = list(ALTERATIONS)[number % len(ALTERATIONS)]
            await one(url, settings, parts, kind, rng, folder / "export", tallies[kind])
            if sys.stderr.isatty():
                print(f"\r{number + 1}/{count}", end="", file=sys.stderr, flush=True)
    return tallies


def main() -> int:
    """Run on a PostgreSQL of its own; print the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many alterations")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = postgres.start(folder / "pg")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE log")
            nowhere: dict[str, Any] = dict.fromkeys(
                ("tls_cert", "tls_key", "tls_ca", "token_jwks"), folder / "unused"
            )
            settings = AuditSettings(
                database_url=server.get_uri("log"), master_key_file=folder / "master", log_key_file=folder / "log", **nowhere
            )  # fmt: skip
            tallies = asyncio.run(run(given.count, given.seed, settings, server.get_uri("log"), folder))
        finally:
            server.cleanup()
    total: Counter[str] = Counter()
    print(f"{'alteration':28} {'found':>6} {'named':>6} {'span':>6} {'missed':>7}")
    for kind, t in tallies.items():
        print(f"{kind:28} {t.found:6} {t.exact:6} {t.spans:6} {len(t.missed):7}")
        total.update(found=t.found, exact=t.exact, spans=t.spans, missed=len(t.missed))
    print(f"{'all':28} {total['found']:6} {total['exact']:6} {total['spans']:6} {total['missed']:7}")
    for kind in tallies.values():
        for what in kind.missed:
            print(f"MISSED: {what}")
    return 1 if total["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
