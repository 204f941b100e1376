"""Receipts: what a caller keeps to prove, later and offline, that an event stands in the log.

Rules
-----
1. A receipt without an inclusion proof is refused, unless the tree has that one entry only.
2. The leaf hash must be that of the entry when the entry is given; the proof must lead to the checkpoint's
   root; the checkpoint must be signed by a key of the log.
3. JSON: hashes in lower-case hex, the checkpoint as the signed note it is; unknown or missing fields are
   refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Self

from tlog.checkpoint import CheckpointError, OpenedCheckpoint, open_checkpoint
from tlog.hashing import leaf_hash
from tlog.note import VerifierKey
from tlog.proofs import ProofError, verify_inclusion

_FIELDS = {"entry_id": str, "index": int, "leaf_hash": str, "checkpoint": str, "inclusion": list}


class ReceiptError(ValueError):
    """A receipt is malformed or proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry's ID, index and 32-byte leaf hash, a signed checkpoint, and the inclusion proof under it."""

    entry_id: str
    index: int
    leaf_hash: bytes
    checkpoint_note: str
    inclusion: tuple[bytes, ...]

    def to_json(self) -> str:
        """The receipt as one JSON object."""
        return json.dumps(
            {
                "entry_id": self.entry_id,
                "index": self.index,
                "leaf_hash": self.leaf_hash.hex(),
                "checkpoint": self.checkpoint_note,
                "inclusion": [value.hex() for value in self.inclusion],
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            ReceiptError: it is not JSON, or a field is missing, unknown or of the wrong form.
        """
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ReceiptError("the receipt is not JSON") from error
        if not isinstance(data, dict) or data.keys() != _FIELDS.keys():
            raise ReceiptError(f"a receipt has exactly the fields {', '.join(_FIELDS)}")
        for name, kind in _FIELDS.items():
            if type(data[name]) is not kind:
                raise ReceiptError(f"the field {name} of the receipt is not of type {kind.__name__}")
        return cls(
            data["entry_id"],
            data["index"],
            _unhex(data["leaf_hash"], "leaf_hash"),
            data["checkpoint"],
            tuple(_unhex(value, "inclusion") for value in data["inclusion"]),
        )

    def verify(
        self,
        keys: Iterable[VerifierKey],
        *,
        entry: bytes | None = None,
        leaf: bytes | None = None,
        origin: str | None = None,
        witnesses: Iterable[VerifierKey] = (),
        quorum: int = 0,
    ) -> OpenedCheckpoint:
        """Check the receipt offline; give the entry, or its leaf hash, to tie the receipt to an event.

        Raises:
            ReceiptError: see the rules.
        """
        if entry is not None and not compare_digest(leaf_hash(entry), self.leaf_hash):
            raise ReceiptError(
                f"the receipt of entry {self.index} is for another entry: the leaf hashes differ"
            )
        if leaf is not None and not compare_digest(leaf, self.leaf_hash):
            raise ReceiptError(f"the receipt of entry {self.index} is for another leaf hash")
        try:
            opened = open_checkpoint(
                self.checkpoint_note, keys, origin=origin, witnesses=witnesses, quorum=quorum
            )
            checkpoint = opened.checkpoint
            verify_inclusion(self.leaf_hash, self.index, checkpoint.size, self.inclusion, checkpoint.root)
        except (CheckpointError, ProofError) as error:
            raise ReceiptError(f"the receipt of entry {self.index} does not hold: {error}") from error
        return opened


def _unhex(value: Any, name: str) -> bytes:
    try:
        data = bytes.fromhex(value)
    except (TypeError, ValueError) as error:
        raise ReceiptError(f"the field {name} of the receipt is not hex") from error
    if len(data) != 32 or data.hex() != value:
        raise ReceiptError(f"the field {name} of the receipt is not a hash of 64 lower-case hex digits")
    return data
