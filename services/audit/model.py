"""An entry of the log: a public leaf that commits to an event, and the event sealed under a key of its own.

Rules
-----
1. The leaf is ``tlog.leaf``: it commits to the event and to every column that is stored of it.
2. Event and salt are sealed with a data key that no other entry uses; the data key is wrapped by the master key. Both are
   bound to the leaf as associated data: a payload cannot be moved to another entry.
3. What can be searched stands in the database as keyed digests only.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from plateward.audit.v1 import event_pb2
from servicekit.crypto import KEY_BYTES, open_sealed, seal
from tlog import leaf as leaves
from tlog.hashing import leaf_hash
from tlog.leaf import Leaf, LeafError, Row, sort_terms

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SealedEntryError(Exception):
    """The payload cannot be opened: its key is gone, or it does not open its leaf's commitment."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored of one event."""

    event_id: str
    occurred_at: datetime
    row: Row
    entry: bytes
    leaf_hash: bytes
    wrapped_key: bytes


class Sealer:
    """Makes entries of events and opens them, under one master key."""

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key
        self._search_key = hmac.digest(master_key, b"plateward-audit-search", "sha256")

    def seal(self, event: event_pb2.AuditEvent, occurred_at: datetime, *, seals: int | None = None) -> Entry:
        """Return the entry of an event; ``seals`` is the index of the entry whose key a court's order destroys."""
        payload = event.SerializeToString(deterministic=True)
        secret = secrets.token_bytes(leaves.SALT_BYTES + KEY_BYTES)
        salt, key = secret[: leaves.SALT_BYTES], secret[leaves.SALT_BYTES :]
        commitment = leaves.commitment(salt, payload)
        core = Leaf(event.event_id, commitment, b"", b"").core
        wrapped = seal(self._master, key, core)
        row = Row(
            occurred_us=(occurred_at - _EPOCH) // _MICROSECOND, action=event.action, phase=event.phase, status=event.outcome.status,
            digest=self._digest(payload), terms=self._terms(event), sealed=seal(key, salt + payload, core),
        )  # fmt: skip
        leaf = Leaf(event.event_id, commitment, row.hash(), sha256(wrapped).digest(), seals).encode()
        return Entry(event.event_id, occurred_at, row, leaf, leaf_hash(leaf), wrapped)

    def open(self, leaf: bytes, sealed: bytes, wrapped_key: bytes | None) -> event_pb2.AuditEvent:
        """Return the event of an entry.

        Raises:
            SealedEntryError: the key was destroyed by order, or the payload is not the leaf's.
            servicekit.crypto.UnsealError: the payload or its key was altered.
        """
        _, payload = self.opening(leaf, sealed, wrapped_key)
        event = event_pb2.AuditEvent.FromString(payload)
        if event.event_id != Leaf.parse(leaf).event_id:
            raise SealedEntryError("the payload is another event's")
        return event

    def opening(self, leaf: bytes, sealed: bytes, wrapped_key: bytes | None) -> tuple[bytes, bytes]:
        """Return salt and event bytes that open a leaf's commitment.

        Raises:
            SealedEntryError: the key was destroyed by order, or the payload is not the leaf's.
            servicekit.crypto.UnsealError: the payload or its key was altered.
        """
        if not wrapped_key:
            raise SealedEntryError("the key was destroyed by order")
        try:
            parsed = Leaf.parse(leaf)
        except LeafError as error:
            raise SealedEntryError(f"the leaf was altered: {error}") from error
        opened = open_sealed(open_sealed(self._master, wrapped_key, parsed.core), sealed, parsed.core)
        salt, payload = opened[: leaves.SALT_BYTES], opened[leaves.SALT_BYTES :]
        if leaves.commitment(salt, payload) != parsed.commitment:
            raise SealedEntryError("the payload does not open the leaf's commitment")
        return salt, payload

    def digest(self, event: event_pb2.AuditEvent) -> bytes:
        """Return a keyed digest of a whole event: tells the same event from another with the same ID."""
        return self._digest(event.SerializeToString(deterministic=True))

    def term(self, kind: str, value: str) -> bytes:
        """Return the keyed digest under which a value is searched, 16 bytes."""
        return hmac.digest(self._search_key, f"{kind}\0{value.strip().upper()}".encode(), "sha256")[:16]

    def _digest(self, payload: bytes) -> bytes:
        return hmac.digest(self._search_key, b"event\0" + payload, "sha256")

    def _terms(self, event: event_pb2.AuditEvent) -> tuple[bytes, ...]:
        values = [("agency", event.subject.agency_id), ("agency", event.owner_agency_id), ("by", event.subject.agency_id),
                  ("member", event.subject.member_id), ("case", event.purpose.case_number), ("action", str(event.action))]  # fmt: skip
        values += [("plate", element.value) for element in event.query if element.name == "plate"]
        return sort_terms(self.term(kind, value) for kind, value in values if value)
