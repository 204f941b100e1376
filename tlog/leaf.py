r"""The public leaf of an audit entry: what it commits to, and how anybody checks a stored row against it.

Rules
-----
1. A leaf is lines that end in a newline: ``plateward-audit/v1``, the event's ID, and three SHA-256 hashes in
   base64: the commitment, the row, the wrapped key. A leaf of a sealing order has one line more, ``seals N``.
2. The commitment is over a label, a random salt of 32 bytes and the event's bytes: it reveals nothing and opens to
   one event only.
3. The row is over every other column that is stored of the entry, each with its length in front (4 bytes, big
   endian). Nothing of an entry can be changed without changing its leaf, and whoever holds the rows can check that
   without a key.
4. The wrapped key stands apart: a court's order destroys it, the tree stays whole, and a leaf ``seals N`` says so.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

HEADER = "plateward-audit/v1"
SALT_BYTES = 32
_LABEL = b"plateward-commitment/v1\0"
_EVENT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_SEALS = re.compile(r"seals (0|[1-9][0-9]{0,18})", re.ASCII)


class LeafError(ValueError):
    """A leaf is malformed, or a row is not the one it commits to; the message says which part differs."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is stored beside a leaf: times in microseconds since 1970 UTC, search terms sorted, the payload as ciphertext."""

    occurred_us: int
    action: int
    phase: int
    status: str
    digest: bytes
    terms: Sequence[bytes]
    sealed: bytes

    def hash(self) -> bytes:
        """The 32 bytes that the leaf holds of it (rule 3)."""
        numbers = b"".join(
            n.to_bytes(8, "big", signed=True) for n in (self.occurred_us, self.action, self.phase)
        )
        parts = (numbers, self.status.encode(), self.digest, b"".join(self.terms), self.sealed)
        return sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A parsed leaf."""

    event_id: str
    commitment: bytes
    row: bytes
    key: bytes
    seals: int | None = None

    @property
    def core(self) -> bytes:
        """What payload and key are bound to as associated data: header, ID and commitment."""
        return f"{HEADER}\n{self.event_id}\n{_b64(self.commitment)}\n".encode()

    def encode(self) -> bytes:
        """The bytes of the leaf."""
        seals = "" if self.seals is None else f"seals {self.seals}\n"
        return self.core + f"{_b64(self.row)}\n{_b64(self.key)}\n{seals}".encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a leaf.

        Raises:
            LeafError: see rule 1.
        """
        try:
            lines = data.decode("ascii").split("\n")
        except UnicodeError as error:
            raise LeafError("the leaf is not ASCII text") from error
        if len(lines) not in (6, 7) or lines[-1] or lines[0] != HEADER:
            raise LeafError(f"a leaf has 5 or 6 lines, the first of them {HEADER}")
        seals = _SEALS.fullmatch(lines[5]) if len(lines) == 7 else None
        if not _EVENT_ID.fullmatch(lines[1]) or (len(lines) == 7 and seals is None):
            raise LeafError("the leaf's event ID or its last line is malformed")
        hashes = [_unb64(line) for line in lines[2:5]]
        return cls(lines[1], hashes[0], hashes[1], hashes[2], int(seals[1]) if seals else None)

    def check(self, event_id: str, row: Row, wrapped_key: bytes | None) -> None:
        """Check a stored row against the leaf; a wrapped key that is gone is for the caller to explain (rule 4).

        Raises:
            LeafError: a part differs.
        """
        if event_id != self.event_id:
            raise LeafError("the event ID is not the leaf's")
        if row.hash() != self.row:
            raise LeafError("time, action, result, search terms or payload are not those the leaf commits to")
        if wrapped_key is not None and sha256(wrapped_key).digest() != self.key:
            raise LeafError("the payload's key is not the one the leaf commits to")


def commitment(salt: bytes, payload: bytes) -> bytes:
    """The 32 bytes that commit to an event (rule 2)."""
    return sha256(_LABEL + salt + payload).digest()


def sort_terms(terms: Iterable[bytes]) -> tuple[bytes, ...]:
    """Search terms in the order in which they are hashed, each once."""
    return tuple(sorted(set(terms)))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(line: str) -> bytes:
    try:
        data = base64.b64decode(line, validate=True)
    except binascii.Error as error:
        raise LeafError("a hash of the leaf is not base64") from error
    if len(data) != 32 or _b64(data) != line:
        raise LeafError("a hash of the leaf is not 32 bytes in canonical base64")
    return data
