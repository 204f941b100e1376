"""What a client of the audit log demands of it: receipts that hold, and a log that only grows.

Rules
-----
1. Every receipt's checkpoint must be signed by a known key of the log, and its inclusion proof must verify against it.
2. The last checkpoint is kept. A later one must be consistent with it: the same size has the same root, a larger one is proven to
   begin with it, at most every ``EVERY_S`` seconds. A smaller one is an answer that was overtaken, or a log that was rolled back: it
   must be proven to be the beginning of what was seen.
3. A log that contradicts what was seen is not believed again, and nothing is answered on its word, until a person has looked.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from plateward.common.v1 import errors_pb2, receipt_pb2
from servicekit.errors import PlatewardError
from tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from tlog.note import VerifierKey
from tlog.proofs import ProofError, verify_consistency, verify_inclusion

_LOG = structlog.get_logger(__name__)
EVERY_S = 10.0
ConsistencyProof = Callable[[int, int], Awaitable[Sequence[bytes]]]


class LogWatch:
    """The last checkpoint that a client saw, and what it demands of the next."""

    def __init__(
        self, keys: Sequence[VerifierKey], prove: ConsistencyProof, every_s: float = EVERY_S
    ) -> None:
        self._keys = tuple(keys)
        self._prove = prove
        self._every_s = every_s
        self._last: Checkpoint | None = None
        self._checked_at = -every_s
        self._contradiction = ""

    async def demand(self, receipt: receipt_pb2.Receipt) -> None:
        """Check a receipt, and now and then that the log only grew.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE: the receipt does not hold, or the log contradicts itself.
        """
        if self._contradiction:
            self._refuse(self._contradiction)
        try:
            seen = open_checkpoint(receipt.checkpoint, self._keys).checkpoint
            verify_inclusion(
                receipt.leaf_hash, receipt.index, seen.size, list(receipt.inclusion_proof), seen.root
            )
        except (CheckpointError, ProofError) as error:
            _LOG.error("receipt_refused", index=receipt.index, error=str(error))
            self._refuse("the audit log gave a receipt that does not hold")
        last = self._last
        if last is None:
            self._last, self._checked_at = seen, time.monotonic()
            return
        if seen.size == last.size:
            if seen.root != last.root:
                self._contradict(last, seen)
            return
        if time.monotonic() - self._checked_at >= self._every_s:
            await self._compare(*sorted((last, seen), key=lambda c: c.size))

    async def _compare(self, old: Checkpoint, new: Checkpoint) -> None:
        self._checked_at = time.monotonic()
        proof = await self._prove(old.size, new.size)
        try:
            verify_consistency(old.size, old.root, new.size, new.root, proof)
        except ProofError:
            self._contradict(old, new)
        self._last = new

    def _contradict(self, old: Checkpoint, new: Checkpoint) -> None:
        self._contradiction = f"the audit log of {new.size} entries does not begin with the one of {old.size} entries seen before"
        _LOG.error("log_contradicts_itself", old=old.text, new=new.text)
        self._refuse(self._contradiction)

    @staticmethod
    def _refuse(message: str) -> None:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE,
            f"{message}: nothing is answered until the agency's administrator has looked (`plateward audit verify`)",
        )
