"""Appending: one sequencer at a time, many appends in one commit, a receipt only for what is durable.

Rules
-----
1. The sequencer's connection holds an advisory lock; whoever loses the connection has lost the lock and reads the state of
   the log anew before it goes on.
2. One transaction adds entries, search keys, tiles and a signed checkpoint, or none of them. No index is used twice: the
   primary key would refuse it.
3. An append is answered when its transaction has committed. The same event ID gives the same entry; the same ID with
   another event is refused.
4. The queue is bounded; a full one is answered RESOURCE_EXHAUSTED with a delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC

import psycopg
import structlog
from psycopg.rows import dict_row

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import errors_pb2, receipt_pb2
from servicekit.errors import PlatewardError
from services.audit import store
from services.audit.model import Entry, Sealer
from services.audit.settings import AuditSettings
from services.audit.tiles import StoredTiles
from tlog.checkpoint import Checkpoint, open_checkpoint
from tlog.note import SignerKey
from tlog.tree import Appender, inclusion_proof

_LOG = structlog.get_logger(__name__)
_LOCK_PATIENCE_S = 60.0
_RETRY_S = 0.5


class LogStateError(Exception):
    """The stored log contradicts itself; the message says where and what to do."""


@dataclass(slots=True)
class _Waiting:
    event: event_pb2.AuditEvent
    answer: asyncio.Future[receipt_pb2.Receipt] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Sequencer:
    """Gives events their places. It is also the audit service's own sink."""

    def __init__(self, settings: AuditSettings, sealer: Sealer, key: SignerKey, reading: store.Store) -> None:
        self._settings = settings
        self._sealer = sealer
        self._key = key
        self._store = reading
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(settings.queue_most)
        self._connection: store.Connection | None = None
        self._appender = Appender()
        self._note = ""
        self.tiles = StoredTiles(reading)

    async def append(self, event: event_pb2.AuditEvent) -> receipt_pb2.Receipt:
        """Append an event; return its receipt once it is durable.

        Raises:
            PlatewardError: OVERLOADED, ALREADY_EXISTS or AUDIT_UNAVAILABLE.
        """
        waiting = _Waiting(event)
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED,
                "the audit log has more appends than it can take: try again after the delay",
                retry_after=0.5,
            ) from None
        return await waiting.answer

    async def open(self) -> None:
        """Become the sequencer: take the lock, check the log's edge against its checkpoint.

        Raises:
            LogStateError: entries, tiles and checkpoint contradict each other, or another sequencer does not let go.
        """
        url = self._settings.database_url.get_secret_value()
        self._connection = await psycopg.AsyncConnection.connect(url, row_factory=dict_row)
        deadline = asyncio.get_running_loop().time() + _LOCK_PATIENCE_S
        while not await store.take_sequencer_lock(self._connection):
            if asyncio.get_running_loop().time() > deadline:
                raise LogStateError(
                    "another sequencer holds the log: stop it, or let this replica wait as a standby"
                )
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
        appender = await Appender.load(size, self.tiles)
        if latest:
            opened = open_checkpoint(latest[1], [self._key.verifier], origin=self._settings.origin)
            if opened.checkpoint.root != appender.root:
                raise LogStateError(
                    f"the tiles do not give the root of the checkpoint at size {size}: restore the database"
                )
            self._note = latest[1]
        self._appender = appender

    async def run(self) -> None:
        """Sequence appends until cancelled."""
        while True:
            batch = await self._gather()
            try:
                await self._commit(batch)
            except (psycopg.Error, OSError) as error:
                _LOG.warning("commit_failed", error=type(error).__name__, waiting=len(batch))
                _fail(batch)
                await self._reopen()

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

    async def _commit(self, batch: list[_Waiting]) -> None:
        assert self._connection is not None
        async with self._connection.transaction():
            known = dict(await store.known_events(self._connection, [w.event.event_id for w in batch]))
            fresh = self._fresh(batch, known)
            growth = self._appender.grow([e.leaf_hash for e in fresh])
            if fresh:
                note = Checkpoint(self._settings.origin, growth.size, growth.root).sign(self._key)
                await store.add_entries(self._connection, self._appender.size, fresh)
                await store.put_tiles(self._connection, growth.tiles)
                await store.add_checkpoint(self._connection, growth.size, growth.root, note)
        if fresh:
            self.tiles.remember(growth.tiles)
            self._appender, self._note = growth.after, note
        for waiting in batch:
            if not waiting.answer.done():
                await self._answer(waiting, known)

    def _fresh(self, batch: list[_Waiting], known: dict[str, tuple[int, bytes, bytes]]) -> list[Entry]:
        """Return the entries to add, and put them into ``known`` at their places."""
        fresh: list[Entry] = []
        for waiting in batch:
            event = waiting.event
            if event.event_id not in known:
                entry = self._sealer.seal(event, event.occurred_at.ToDatetime(UTC))
                known[event.event_id] = (self._appender.size + len(fresh), entry.digest, entry.leaf_hash)
                fresh.append(entry)
        return fresh

    async def _answer(self, waiting: _Waiting, known: Mapping[str, tuple[int, bytes, bytes]]) -> None:
        index, digest, leaf = known[waiting.event.event_id]
        if digest != self._sealer.digest(waiting.event):
            waiting.answer.set_exception(
                PlatewardError(
                    errors_pb2.ERROR_REASON_ALREADY_EXISTS,
                    "the log has another event with this ID: give each event an ID of its own",
                )
            )
            return
        proof = await inclusion_proof(index, self._appender.size, self.tiles)
        waiting.answer.set_result(
            receipt_pb2.Receipt(
                event_id=waiting.event.event_id,
                index=index,
                leaf_hash=leaf,
                checkpoint=self._note,
                inclusion_proof=proof,
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
    def verifier_key(self) -> str:
        """The log's public key in signed-note form."""
        return str(self._key.verifier)

    async def first_checkpoint(self) -> None:
        """Sign the empty tree when the log is new, so that there always is a checkpoint."""
        if not self._note:
            self._note = Checkpoint(self._settings.origin, 0, self._appender.root).sign(self._key)

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
