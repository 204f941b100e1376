"""Publishing: the latest checkpoint is brought to outside witnesses, and is published when enough of them cosigned it.

Rules
-----
1. Appends do not wait for witnesses: an entry is durable and has its receipt before. Publishing lags, and the lag is a metric.
2. Without a quorum, every checkpoint is published as it is. With one, the published checkpoint is the latest that so many
   witnesses cosigned; a witness that is down holds publishing back, never the log.
3. A witness that refuses the log's checkpoint is reported loudly: one of the two is wrong, and a person must look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import structlog

from services.audit.metrics import LogMetrics
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store
from tlog.checkpoint import CheckpointError, open_checkpoint
from tlog.note import KeyType, Note, NoteError, VerifierKey, parse_note
from tlog.prover import consistency_proof
from tlog.witness import AddCheckpoint

_LOG = structlog.get_logger(__name__)
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MOST_ANSWER = 64 * 1024


class WitnessSettingError(ValueError):
    """A witness is configured wrongly; the message says how."""


class CosignatureError(ValueError):
    """A cosignature is not one of a configured witness over a checkpoint of this log."""


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """A configured witness."""

    key: VerifierKey
    url: str


def witnesses_of(settings: AuditSettings) -> list[WitnessAddress]:
    """Return the configured witnesses.

    Raises:
        WitnessSettingError: a key is malformed, or the quorum is larger than the number of witnesses.
    """
    found: list[WitnessAddress] = []
    for text in settings.witnesses:
        key, _, url = text.partition(" ")
        try:
            parsed = VerifierKey.parse(key)
        except NoteError as error:
            raise WitnessSettingError(f"PLATEWARD_AUDIT_WITNESSES: {error}") from error
        if parsed.kind is not KeyType.COSIGNATURE_V1:
            raise WitnessSettingError(f"PLATEWARD_AUDIT_WITNESSES: {key} is not a witness's key (type 4)")
        found.append(WitnessAddress(parsed, url.rstrip("/")))
    if settings.witness_quorum > len({w.key.name for w in found}):
        raise WitnessSettingError(
            f"PLATEWARD_AUDIT_WITNESS_QUORUM is {settings.witness_quorum}, but {len(found)} witnesses are configured"
        )
    return found


class Publisher:
    """Keeps the published checkpoint."""

    def __init__(
        self, settings: AuditSettings, sequencer: Sequencer, store: Store, metrics: LogMetrics
    ) -> None:
        self._settings = settings
        self._sequencer = sequencer
        self._store = store
        self._metrics = metrics
        self._witnesses = witnesses_of(settings)
        self._known = {w.key.name: 0 for w in self._witnesses}
        self._refusing: set[str] = set()
        self._size, self._note = 0, ""
        self._hurry = asyncio.Event()
        self._moved = asyncio.Condition()

    async def open(self) -> None:
        """Read what was cosigned before."""
        for witness in self._witnesses:
            self._known[witness.key.name] = await self._store.last_cosigned(witness.key.name)
        self._size, notes = await self._store.cosigned(self._settings.witness_quorum)
        self._note = _merged(notes) if notes else ""

    @property
    def published(self) -> tuple[int, str]:
        """Size and note of the published checkpoint."""
        latest = (self._sequencer.size, self._sequencer.note)
        if self._settings.witness_quorum:
            return (self._size, self._note) if self._note else (0, "")
        return (self._size, self._note) if self._size == latest[0] and self._note else latest

    @property
    def lag(self) -> int:
        """Entries that are in the log and not yet published."""
        return max(0, self._sequencer.size - self.published[0])

    async def run(self) -> None:
        """Bring checkpoints to the witnesses until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while self._witnesses:
                await self._sequencer.grown.wait()
                self._sequencer.grown.clear()
                await self.round(session)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), self._settings.witness_interval_s)
                self._hurry.clear()
                if self.lag:
                    self._sequencer.grown.set()

    async def catch_up(self, patience_s: float) -> None:
        """Have the log as it is now published, if the witnesses answer in time."""
        wanted = self._sequencer.size
        self._sequencer.grown.set()
        self._hurry.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._moved:
                await self._moved.wait_for(lambda: self.published[0] >= wanted)

    async def round(self, session: aiohttp.ClientSession) -> None:
        """Bring the latest checkpoint to every witness, and publish it when enough of them cosign."""
        size, note = self._sequencer.size, self._sequencer.note
        if size:
            await asyncio.gather(*(self._ask(session, w, size, note) for w in self._witnesses))
        self._metrics.lag.set(self.lag)
        self._metrics.witness_refusals.set(len(self._refusing))

    async def add(self, note: str) -> str:
        """Take a cosignature that a witness brings by itself; return the note with all that are known of that size.

        Raises:
            CosignatureError: it is not a configured witness's, or the checkpoint is not this log's.
        """
        keys = [w.key for w in self._witnesses]
        try:
            opened = open_checkpoint(
                note, self._sequencer.verifiers, origin=self._settings.origin, witnesses=keys, quorum=1
            )
        except CheckpointError as error:
            raise CosignatureError(str(error)) from error
        for name, _ in opened.witnesses:
            await self._store.add_cosignature(opened.checkpoint.size, name, note)
        await self._publish()
        return self._note or note

    async def _ask(
        self, session: aiohttp.ClientSession, witness: WitnessAddress, size: int, note: str
    ) -> None:
        name = witness.key.name
        try:
            status, text = await self._post(session, witness, size, note)
            if status == 409 and text.strip().isdigit() and int(text) <= size:
                # The witness remembers more, or less, than this replica does.
                self._known[name] = int(text)
                status, text = await self._post(session, witness, size, note)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _LOG.warning("witness_unreachable", witness_key=name, error=type(error).__name__)
            return
        if status != 200:
            self._refusing.add(name)
            _LOG.error("witness_refuses", witness_key=name, status=status, answer=text[:200], size=size)
            return
        try:
            cosigned = _with_lines(note, text)
            open_checkpoint(
                cosigned,
                self._sequencer.verifiers,
                origin=self._settings.origin,
                witnesses=[witness.key],
                quorum=1,
            )
        except (NoteError, CheckpointError) as error:
            _LOG.error("witness_answer_unusable", witness_key=name, error=str(error))
            return
        self._refusing.discard(name)
        self._known[name] = size
        await self._store.add_cosignature(size, name, cosigned)
        await self._publish()

    async def _post(
        self, session: aiohttp.ClientSession, witness: WitnessAddress, size: int, note: str
    ) -> tuple[int, str]:
        old = self._known[witness.key.name]
        proof = await consistency_proof(old, size, self._sequencer.tiles) if old <= size else []
        body = AddCheckpoint(old, tuple(proof), note).encode()
        async with session.post(f"{witness.url}/add-checkpoint", data=body) as answer:
            return answer.status, (await answer.content.read(_MOST_ANSWER)).decode(errors="replace")

    async def _publish(self) -> None:
        size, notes = await self._store.cosigned(self._settings.witness_quorum)
        if notes and size >= self._size:
            self._size, self._note = size, _merged(notes)
            self._metrics.lag.set(self.lag)
            async with self._moved:
                self._moved.notify_all()


def _with_lines(note: str, lines: str) -> str:
    return str(parse_note(note + lines))


def _merged(notes: Sequence[str]) -> str:
    """One note with every signature of several notes over the same text."""
    parsed = [parse_note(note) for note in notes]
    signatures = dict.fromkeys(s for note in parsed for s in note.signatures)
    return str(Note(parsed[0].text, tuple(signatures)))
