r"""A witness (C2SP tlog-witness): cosigns a log's checkpoint only when it extends the last one it cosigned.

Rules
-----
1. A request is ``old N``, then the consistency proof (one base64 hash a line, 63 at most), an empty line, the checkpoint.
2. The checkpoint must be signed by a key of a log that the witness knows.
3. ``N`` must be the size that the witness cosigned last; the answer tells that size when it is not.
4. Same size needs the same root and no proof; a larger size needs a proof that verifies. Anything else is refused, and a
   checkpoint that the log signed and that contradicts an earlier one is *evidence*: it comes back in the refusal, to keep.
5. What this decides is stored durably before the cosignature leaves: the caller's part.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from tlog.hashing import HASH_SIZE
from tlog.note import NoteError, SignerKey, VerifierKey, cosign_note, parse_note
from tlog.proofs import ProofError, verify_consistency

MAX_PROOF = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)


class Refusal(IntEnum):
    """Why a witness does not cosign, as the HTTP status of the protocol."""

    MALFORMED = 400
    UNTRUSTED = 403
    UNKNOWN_LOG = 404
    CONFLICT = 409
    UNPROVEN = 422


class WitnessError(Exception):
    """A checkpoint is not cosigned; ``size`` is what the witness has, ``evidence`` a checkpoint that contradicts it."""

    def __init__(
        self, refusal: Refusal, message: str, *, size: int | None = None, evidence: bool = False
    ) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.size = size
        self.evidence = evidence


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A parsed request: the size that the log believes was cosigned last, the proof, the checkpoint note."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a request.

        Raises:
            WitnessError: MALFORMED.
        """
        try:
            head, separator, note = body.decode().partition("\n\n")
            lines = head.split("\n")
            old = _OLD.fullmatch(lines[0])
            proof = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
        except (UnicodeError, binascii.Error) as error:
            raise WitnessError(
                Refusal.MALFORMED, "the request is not UTF-8, or its proof is not base64"
            ) from error
        if not separator or old is None or len(proof) > MAX_PROOF or any(len(h) != HASH_SIZE for h in proof):
            raise WitnessError(
                Refusal.MALFORMED,
                "a request is: old N, up to 63 hashes in base64, an empty line, the checkpoint",
            )
        return cls(int(old[1]), proof, note)

    def encode(self) -> bytes:
        """The body of the request."""
        proof = "".join(f"{base64.b64encode(h).decode()}\n" for h in self.proof)
        return f"old {self.old_size}\n{proof}\n{self.note}".encode()


def check(request: AddCheckpoint, logs: Sequence[VerifierKey], last: Checkpoint | None) -> Checkpoint:
    """Return the checkpoint when it may be cosigned.

    Args:
        request: the request.
        logs: the keys of the logs that are witnessed.
        last: what the witness cosigned last of this log.

    Raises:
        WitnessError: see the rules.
    """
    checkpoint = opened(request.note, logs)
    size = last.size if last else 0
    if request.old_size > checkpoint.size:
        raise WitnessError(
            Refusal.MALFORMED, f"old {request.old_size} is beyond the checkpoint's {checkpoint.size} entries"
        )
    if last is not None and checkpoint.size <= last.size and not _same(checkpoint, last):
        contradicts = checkpoint.size == last.size
        raise WitnessError(
            Refusal.CONFLICT,
            f"size {checkpoint.size} was cosigned with another root: the log shows two histories"
            if contradicts
            else f"size {last.size} was cosigned already; a log only grows",
            size=size,
            evidence=contradicts,
        )
    if request.old_size != size:
        raise WitnessError(
            Refusal.CONFLICT, f"size {size} was cosigned last, not {request.old_size}", size=size
        )
    if size in (0, checkpoint.size):
        if request.proof:
            raise WitnessError(Refusal.MALFORMED, "nothing is to be proven here: leave the proof empty")
        return checkpoint
    assert last is not None
    try:
        verify_consistency(last.size, last.root, checkpoint.size, checkpoint.root, request.proof)
    except ProofError as error:
        raise WitnessError(
            Refusal.UNPROVEN, f"the proof does not lead from {last.size} to {checkpoint.size}: {error}",
            evidence=True,
        ) from error  # fmt: skip
    return checkpoint


def opened(note: str, logs: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint of a note that a known log signed.

    Raises:
        WitnessError: MALFORMED, UNKNOWN_LOG or UNTRUSTED.
    """
    try:
        claimed = Checkpoint.parse(parse_note(note).text)
    except (NoteError, CheckpointError) as error:
        raise WitnessError(Refusal.MALFORMED, f"the checkpoint is malformed: {error}") from error
    keys = [key for key in logs if key.name == claimed.origin]
    if not keys:
        raise WitnessError(Refusal.UNKNOWN_LOG, f"the log {claimed.origin!r} is not witnessed here")
    try:
        return open_checkpoint(note, keys, origin=claimed.origin).checkpoint
    except CheckpointError as error:
        raise WitnessError(Refusal.UNTRUSTED, str(error)) from error


def cosignature(note: str, key: SignerKey, time: int) -> str:
    """The witness's signature line over a checkpoint, its newline included.

    Raises:
        NoteError: the key is not a witness's.
    """
    cosigned = parse_note(cosign_note(note, key, time))
    return next(s.line for s in cosigned.signatures if s.key_id == key.verifier.key_id and s.name == key.name)


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return (one.size, one.root) == (other.size, other.root)
