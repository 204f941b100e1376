"""Appending: one sequencer at a time, many appends in one commit, a receipt only for what is durable.

Rules
-----
1. The sequencer's connection holds an advisory lock and makes the commits: whoever loses the connection has lost both, and
   reads the state of the log anew before it goes on. A second replica waits for the lock as a standby.
2. One transaction adds entries, keys, search terms, tiles and a signed checkpoint, or none of them. No index is used twice:
   the primary key would refuse it.
3. An append is answered when its transaction has committed. The same event ID gives the same entry; the same ID with
   another event is refused.
4. The queue is bounded; a full one is answered RESOURCE_EXHAUSTED with a delay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC

import psycopg
import structlog
from psycopg.rows import dict_row

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import errors_pb2, receipt_pb2
from servicekit.errors import PlatewardError
from services.audit import store
from services.audit.metrics import LogMetrics
from services.audit.model import Entry, Sealer
from services.audit.settings import AuditSettings
from services.audit.store import Known
from services.audit.tiles import RebuiltTiles, StoredTiles
from tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from tlog.note import SignerKey, VerifierKey
from tlog.prover import Prover
from tlog.tiles import Tile, TileError
from tlog.tree import Appender

_LOG = structlog.get_logger(__name__)
_RETRY_S = 0.5
_STANDBY_LOG_S = 30.0


class LogStateError(Exception):
    """The stored log contradicts itself; the message says where and what to do."""


@dataclass(slots=True)
class _Waiting:
    event: event_pb2.AuditEvent
    seals: int | None
    added: bool = False
    answer: asyncio.Future[receipt_pb2.Receipt] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Sequencer:
    """Gives events their places. It is also the audit service's own sink."""

    def __init__(
        self,
        settings: AuditSettings,
        sealer: Sealer,
        keys: Sequence[SignerKey],
        reading: store.Store,
        metrics: LogMetrics,
    ) -> None:
        self._settings = settings
        self._sealer = sealer
        self._keys = tuple(keys)
        self._store = reading
        self._metrics = metrics
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(settings.queue_most)
        self._connection: store.Connection | None = None
        self._appender = Appender()
        self._note = ""
        self.tiles = StoredTiles(reading)
        self.grown = asyncio.Event()

    async def append(self, event: event_pb2.AuditEvent, *, seals: int | None = None) -> receipt_pb2.Receipt:
        """Append an event; return its receipt once it is durable.

        Args:
            event: the event.
            seals: index of the entry whose key the event says is destroyed; stands in the public leaf.

        Raises:
            PlatewardError: OVERLOADED, ALREADY_EXISTS or AUDIT_UNAVAILABLE.
        """
        waiting = _Waiting(event, seals)
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED,
                "the audit log has more appends than it can take: try again after the delay",
                retry_after=0.5,
            ) from None
        self._metrics.waiting.set(self._queue.qsize())
        return await waiting.answer

    async def open(self) -> None:
        """Become the sequencer, however long another one is; then check the log's edge against its checkpoint.

        Raises:
            LogStateError: entries, tiles and checkpoint contradict each other.
        """
        url = self._settings.database_url.get_secret_value()
        self._connection = await psycopg.AsyncConnection.connect(url, row_factory=dict_row)
        told = -_STANDBY_LOG_S
        while not await store.take_sequencer_lock(self._connection):
            if (now := time.monotonic()) - told >= _STANDBY_LOG_S:
                _LOG.info("standby", waits_for="the sequencer that holds the lock")
                told = now
            await asyncio.sleep(_RETRY_S)
        await self._load()

    async def _load(self) -> None:
        latest = await self._store.latest_checkpoint()
        size = latest[0] if latest else 0
        count, top = await self._store.extent()
        if (count, top) != (size, size):
            raise LogStateError(
                f"the latest checkpoint covers {size} entries, the table holds {count} up to index {top - 1}: entries were "
                "removed or added behind the log's back. Restore the database; `plateward audit verify` names what is missing"
            )
        self.tiles.forget()
        try:
            appender = await Appender.load(size, RebuiltTiles(self._store))
            if latest:
                opened = open_checkpoint(latest[1], self.verifiers, origin=self._settings.origin)
                if opened.checkpoint.root != appender.root:
                    raise LogStateError(
                        f"the entries do not give the root of the checkpoint at size {size}: restore the database"
                    )
                self._note = latest[1]
        except (TileError, CheckpointError) as error:
            raise LogStateError(f"the stored log contradicts itself: {error}") from error
        self._advance(appender)

    async def run(self) -> None:
        """Sequence appends until cancelled."""
        while True:
            batch = await self._gather()
            started = time.perf_counter()
            try:
                added = await self._commit(batch)
            except (psycopg.Error, OSError) as error:
                _LOG.warning("commit_failed", error=type(error).__name__, waiting=len(batch))
                _fail(batch)
                await self._reopen()
            else:
                self._metrics.commit_seconds.observe(time.perf_counter() - started)
                self._metrics.commit_entries.observe(added)
                self._metrics.waiting.set(self._queue.qsize())

    async def _gather(self) -> list[_Waiting]:
        batch = [await self._queue.get()]
        if self._settings.commit_window_ms and self._queue.empty():
            await asyncio.sleep(self._settings.commit_window_ms / 1000)
        while len(batch) < self._settings.commit_most and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    async def _reopen(self) -> None:
        """Connect again and read the log's state anew: the last commit may or may not have been done."""
        while True:
            try:
                if self._connection is not None:
                    await self._connection.close()
                await self.open()
            except (psycopg.Error, OSError):
                _fail(self._drain())
                await asyncio.sleep(_RETRY_S)
            else:
                return

    def _drain(self) -> list[_Waiting]:
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    async def _commit(self, batch: list[_Waiting]) -> int:
        assert self._connection is not None
        known: dict[str, Known] = {}
        async with self._connection.transaction():
            known |= await store.known_events(self._connection, [w.event.event_id for w in batch])
            fresh = self._fresh(batch, known)
            growth = self._appender.grow([e.leaf_hash for e in fresh])
            if fresh:
                note = Checkpoint(self._settings.origin, growth.size, growth.root).sign(*self._keys)
                await store.add_entries(self._connection, self._appender.size, fresh)
                await store.put_tiles(self._connection, growth.tiles)
                await store.add_checkpoint(self._connection, growth.size, growth.root, note)
        if fresh:
            self._note = note
            self._advance(growth.after, growth.tiles)
        prover = Prover(self._appender.size, self.tiles)
        for waiting in batch:
            if not waiting.answer.done():
                await self._answer(waiting, known[waiting.event.event_id], prover)
        return len(fresh)

    def _advance(self, appender: Appender, tiles: Sequence[Tile] = ()) -> None:
        self._appender = appender
        self.tiles.advance(appender.size, appender.edges, tiles)
        self._metrics.size.set(appender.size)
        self.grown.set()

    def _fresh(self, batch: list[_Waiting], known: dict[str, Known]) -> list[Entry]:
        """Return the entries to add, and put them into ``known`` at their places."""
        fresh: list[Entry] = []
        for waiting in batch:
            event = waiting.event
            if event.event_id not in known:
                entry = self._sealer.seal(event, event.occurred_at.ToDatetime(UTC), seals=waiting.seals)
                known[event.event_id] = Known(
                    self._appender.size + len(fresh), entry.row.digest, entry.leaf_hash
                )
                fresh.append(entry)
                waiting.added = True
        return fresh

    async def _answer(self, waiting: _Waiting, known: Known, prover: Prover) -> None:
        if not waiting.added and known.digest != self._sealer.digest(waiting.event):
            waiting.answer.set_exception(
                PlatewardError(
                    errors_pb2.ERROR_REASON_ALREADY_EXISTS,
                    "the log has another event with this ID: give each event an ID of its own",
                )
            )
            return
        waiting.answer.set_result(
            receipt_pb2.Receipt(
                event_id=waiting.event.event_id,
                index=known.index,
                leaf_hash=known.leaf_hash,
                checkpoint=self._note,
                inclusion_proof=await prover.inclusion(known.index),
            )
        )

    @property
    def size(self) -> int:
        """Entries in the tree."""
        return self._appender.size

    @property
    def note(self) -> str:
        """The latest signed checkpoint."""
        return self._note

    @property
    def verifiers(self) -> list[VerifierKey]:
        """The log's public keys: those that sign, then earlier ones that are still trusted."""
        earlier = [VerifierKey.parse(text) for text in self._settings.earlier_log_keys]
        return [*(key.verifier for key in self._keys), *earlier]

    async def first_checkpoint(self) -> None:
        """Sign the empty tree when the log is new, so that there always is a checkpoint."""
        if not self._note:
            self._note = Checkpoint(self._settings.origin, 0, self._appender.root).sign(*self._keys)

    async def close(self) -> None:
        """Let the lock go."""
        if self._connection is not None:
            await self._connection.close()


def _fail(batch: list[_Waiting]) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(
                PlatewardError(
                    errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE,
                    "the audit log's database does not answer: try again with the same event ID",
                    retry_after=1.0,
                )
            )
