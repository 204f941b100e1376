"""An entry of the log: a public leaf that commits to an event, and the event sealed under a key of its own.

Rules
-----
1. The leaf is ``plateward-audit/v1``, the event's ID and a commitment, each on a line of its own.
2. The commitment is SHA-256 over a label, a random salt of 32 bytes and the event's bytes: it reveals nothing, and opens
   to one event only.
3. Event and salt are sealed with a data key that no other entry uses; the data key is wrapped by the master key. Both are
   bound to the leaf as associated data: a payload cannot be moved to another entry.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime

from plateward.audit.v1 import event_pb2
from servicekit.crypto import KEY_BYTES, open_sealed, seal
from tlog.hashing import leaf_hash

_HEADER = b"plateward-audit/v1\n"
_LABEL = b"plateward-commitment/v1\0"
_SALT_BYTES = 32


class SealedEntryError(Exception):
    """The payload cannot be opened: its key is gone, or it does not open its leaf's commitment."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored of one event."""

    event_id: str
    occurred_at: datetime
    action: int
    phase: int
    status: str
    entry: bytes
    leaf_hash: bytes
    digest: bytes
    sealed: bytes
    wrapped_key: bytes
    search: tuple[tuple[str, bytes], ...]


class Sealer:
    """Makes entries of events and opens them, under one master key."""

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key
        self._search_key = hmac.digest(master_key, b"plateward-audit-search", "sha256")

    def seal(self, event: event_pb2.AuditEvent, occurred_at: datetime) -> Entry:
        """Return the entry of an event."""
        payload = event.SerializeToString(deterministic=True)
        salt, key = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(KEY_BYTES)
        leaf = _leaf(event.event_id, salt, payload)
        return Entry(
            event_id=event.event_id, occurred_at=occurred_at, action=event.action, phase=event.phase,
            status=event.outcome.status, entry=leaf, leaf_hash=leaf_hash(leaf), digest=self.digest(event),
            sealed=seal(key, salt + payload, leaf), wrapped_key=seal(self._master, key, leaf), search=self._terms(event),
        )  # fmt: skip

    def open(self, leaf: bytes, sealed: bytes, wrapped_key: bytes | None) -> event_pb2.AuditEvent:
        """Return the event of an entry.

        Raises:
            SealedEntryError: the key was destroyed by order, or the payload is not the leaf's.
            servicekit.crypto.UnsealError: the payload or its key was altered.
        """
        if not wrapped_key:
            raise SealedEntryError("the key was destroyed by order")
        opened = open_sealed(open_sealed(self._master, wrapped_key, leaf), sealed, leaf)
        salt, payload = opened[:_SALT_BYTES], opened[_SALT_BYTES:]
        event = event_pb2.AuditEvent.FromString(payload)
        if _leaf(event.event_id, salt, payload) != leaf:
            raise SealedEntryError("the payload does not open the leaf's commitment")
        return event

    def digest(self, event: event_pb2.AuditEvent) -> bytes:
        """Return a keyed digest of a whole event: tells the same event from another with the same ID."""
        return hmac.digest(
            self._search_key, b"event\0" + event.SerializeToString(deterministic=True), "sha256"
        )

    def term(self, kind: str, value: str) -> bytes:
        """Return the keyed digest under which a value is searched."""
        return hmac.digest(self._search_key, f"{kind}\0{value.strip().upper()}".encode(), "sha256")[:16]

    def _terms(self, event: event_pb2.AuditEvent) -> tuple[tuple[str, bytes], ...]:
        values = [("agency", event.subject.agency_id), ("agency", event.owner_agency_id), ("by", event.subject.agency_id),
                  ("member", event.subject.member_id), ("case", event.purpose.case_number), ("action", str(event.action))]  # fmt: skip
        values += [("plate", element.value) for element in event.query if element.name == "plate"]
        return tuple({(kind, self.term(kind, value)) for kind, value in values if value})


def _leaf(event_id: str, salt: bytes, payload: bytes) -> bytes:
    commitment = b64encode(hashlib.sha256(_LABEL + salt + payload).digest())
    return _HEADER + event_id.encode() + b"\n" + commitment + b"\n"
