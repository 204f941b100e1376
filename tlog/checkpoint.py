"""Checkpoints (C2SP tlog-checkpoint): the signed statement that a log has this size and this root.

Rules
-----
1. The text is the origin, the size in decimal without leading zeroes, the root in canonical base64, then
   optional non-empty extension lines; each line ends in a newline. Anything else is refused.
2. A checkpoint counts only when a key of the log signed it. Without an expected origin, the origin must be
   the name of that key. Several keys of the log may be trusted at once (rotation).
3. Witness signatures count only by configured witnesses; fewer than the quorum refuse the checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tlog.hashing import EMPTY_ROOT, HASH_SIZE
from tlog.note import KeyType, NoteError, SignerKey, VerifierKey, open_note, sign_note

MAX_SIZE = (1 << 63) - 1
_SIZE = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)


class CheckpointError(ValueError):
    """A checkpoint is malformed or not to be trusted; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's origin, its size in entries, its 32-byte root, and extension lines (none, as a rule)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or "\n" in line:
                raise CheckpointError(
                    "origin and extension lines of a checkpoint are single lines, not empty"
                )
        if not 0 <= self.size <= MAX_SIZE:
            raise CheckpointError(f"the checkpoint size {self.size} is not within 0 to 2^63 - 1")
        if len(self.root) != HASH_SIZE:
            raise CheckpointError(f"the checkpoint root has {len(self.root)} bytes, not {HASH_SIZE}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointError("a checkpoint of size 0 must have the root of the empty tree")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a checkpoint (the part before the signatures).

        Raises:
            CheckpointError: see rule 1.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop():
            raise CheckpointError("a checkpoint has at least three lines, each ending in a newline")
        if not _SIZE.fullmatch(lines[1]):
            raise CheckpointError(
                f"the checkpoint size {lines[1]!r} is not a decimal number without leading zeroes"
            )
        try:
            root = base64.b64decode(lines[2].encode("ascii"), validate=True)
        except (UnicodeError, binascii.Error) as error:
            raise CheckpointError("the checkpoint root is not base64") from error
        checkpoint = cls(lines[0], int(lines[1]), root, tuple(lines[3:]))
        if checkpoint.text != text:
            raise CheckpointError("the checkpoint root is not canonical base64")
        return checkpoint

    @property
    def text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    def sign(self, *keys: SignerKey) -> str:
        """The checkpoint as a signed note.

        Raises:
            NoteError: no key is given, or one is a witness's.
        """
        return sign_note(self.text, *keys)


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A verified checkpoint: which log keys signed it, and each witness with the time of its cosignature."""

    checkpoint: Checkpoint
    signed_by: tuple[str, ...]
    witnesses: tuple[tuple[str, int], ...]


def open_checkpoint(
    note: str | bytes,
    keys: Iterable[VerifierKey],
    *,
    origin: str | None = None,
    witnesses: Iterable[VerifierKey] = (),
    quorum: int = 0,
) -> OpenedCheckpoint:
    """Read and verify a signed checkpoint.

    Args:
        note: the signed note.
        keys: the keys of the log.
        origin: the origin expected; by default the name of the key that signed.
        witnesses: the witnesses that count.
        quorum: how many of them must have cosigned.

    Raises:
        CheckpointError: see the rules.
    """
    log_keys, witness_keys = tuple(keys), tuple(witnesses)
    if any(key.kind is not KeyType.COSIGNATURE_V1 for key in witness_keys):
        raise CheckpointError("a witness key must be of type 4 (cosignature/v1)")
    if any(key.kind is not KeyType.ED25519 for key in log_keys):
        raise CheckpointError("a key of the log must be of type 1 (Ed25519)")
    try:
        opened = open_note(note, (*log_keys, *witness_keys))
    except NoteError as error:
        raise CheckpointError(f"the checkpoint is refused: {error}") from error
    checkpoint = Checkpoint.parse(opened.text)
    known = {(key.name, key.key_id) for key in log_keys}
    signed_by = tuple(line.name for line in opened.verified if (line.name, line.key_id) in known)
    cosigned = tuple(
        (line.name, line.time) for line in opened.verified if (line.name, line.key_id) not in known
    )
    if not signed_by:
        raise CheckpointError("the checkpoint is cosigned by witnesses, but no key of the log signed it")
    if checkpoint.origin not in ((origin,) if origin is not None else signed_by):
        expected = origin if origin is not None else signed_by[0]
        raise CheckpointError(f"the checkpoint is of log {checkpoint.origin!r}, not of {expected!r}")
    # One witness with two keys is still one witness.
    if len({name for name, _ in cosigned}) < quorum:
        raise CheckpointError(
            f"{len(cosigned)} of the trusted witnesses cosigned the checkpoint; {quorum} must"
        )
    return OpenedCheckpoint(checkpoint, signed_by, cosigned)
