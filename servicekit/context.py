"""The call that is being handled: who, which, decided how, and what its answer shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import decision_pb2, types_pb2
from servicekit.identity import Caller


@dataclass(slots=True)
class CallContext:
    """One call. Handlers read it and tell it what they return or change; the kit records that."""

    request_id: str
    method: str
    caller: Caller
    subject: types_pb2.Subject
    received_at: datetime
    decision: decision_pb2.Decision | None = None
    owner_agency_id: str = ""
    valid_until: datetime | None = None
    change: event_pb2.Change | None = None
    _returned: set[str] = field(default_factory=set)

    def returned(self, ids: Iterable[str]) -> None:
        """Say which reads, hits or images the answer shows; cumulative."""
        self._returned.update(ids)

    def changed(
        self, kind: str, target: str, summary: str, *, before: bytes = b"", after: bytes = b""
    ) -> None:
        """Say what the call changed; its outcome becomes a PHASE_CHANGE event with digests of both states."""
        self.change = event_pb2.Change(
            kind=kind,
            target=target,
            summary=summary[:1024],
            before_digest=hashlib.sha256(before).digest() if before else b"",
            after_digest=hashlib.sha256(after).digest() if after else b"",
        )

    def concerns(self, agency_id: str) -> None:
        """Say whose data the call concerns, when it is not the caller's own agency."""
        self.owner_agency_id = agency_id

    @property
    def result_count(self) -> int:
        """How many things the answer shows."""
        return len(self._returned)

    @property
    def result_digest(self) -> bytes:
        """SHA-256 over the sorted IDs, each ended by a newline; empty when nothing is shown."""
        if not self._returned:
            return b""
        return hashlib.sha256("".join(f"{i}\n" for i in sorted(self._returned)).encode()).digest()


_CURRENT: ContextVar[CallContext] = ContextVar("plateward_call")


def current() -> CallContext:
    """Return the context of the call that is being handled.

    Raises:
        LookupError: outside of a call.
    """
    return _CURRENT.get()


def enter(context: CallContext) -> None:
    """Make a context the current one of this task."""
    _CURRENT.set(context)
