r"""Signed notes (C2SP signed-note) and witness cosignatures (C2SP tlog-cosignature), Ed25519.

Rules
-----
1. A note is text that ends in a newline, an empty line, and 1 to 100 signature lines ``— name base64``. It
   is UTF-8, at most 1,000,000 bytes, without control characters other than newline. The *last* empty line
   separates.
2. Base64 is the standard alphabet, padded and canonical: one value has one spelling.
3. A signature is looked up by name *and* key ID. Unknown signatures are kept and ignored; a known key's
   signature that fails refuses the whole note; a note that no known key signed is refused. A second
   signature by the same key is ignored.
4. Key ID = the first 4 bytes of ``SHA-256(name || "\n" || type || public key)``; type 1 signs the text as
   it is, type 4 (cosignature/v1) signs a header with the time, then the text.
5. Every refusal is a :class:`NoteError` that says what is wrong. Private keys appear in no message and no
   ``repr``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_NOTE = 1_000_000
MAX_SIGNATURES = 100
MAX_TIME = (1 << 63) - 1
_PRIVATE = "PRIVATE+KEY+"
_KEY_SIZE = 32
_SIGNATURE_SIZE = 64
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


class NoteError(ValueError):
    """A note, key or signature is malformed or not to be trusted; the message says why."""


class KeyType(IntEnum):
    """The signature types that are spoken here, by their C2SP identifier byte."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name, its 4-byte ID, and the bytes that follow the ID."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, newline included."""
        return f"— {self.name} {_to_base64(self.key_id + self.value)}\n"

    @property
    def time(self) -> int:
        """When a cosignature was made, in POSIX seconds.

        Raises:
            NoteError: the signature does not have the form of a cosignature.
        """
        if len(self.value) != 8 + _SIGNATURE_SIZE:
            raise NoteError(f"the cosignature by {self.name} has {len(self.value)} bytes, not 72")
        time = int.from_bytes(self.value[:8], "big")
        if time > MAX_TIME:
            raise NoteError(f"the cosignature by {self.name} has a time above 2^63 - 1")
        return time


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note, nothing verified: the text (final newline included) and its signatures in order."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(signature.line for signature in self.signatures)}"


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note with a good signature: ``verified`` by the keys given, ``unverified`` by keys unknown."""

    text: str
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under, written ``name+keyid+base64(type || key)``."""

    name: str
    kind: KeyType
    public: bytes
    key_id: bytes = field(init=False)
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != _KEY_SIZE:
            raise NoteError(f"the key {self.name} has {len(self.public)} bytes, not {_KEY_SIZE}")
        encoded = bytes([self.kind]) + self.public
        object.__setattr__(self, "key_id", sha256(self.name.encode() + b"\n" + encoded).digest()[:4])
        object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.public))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a verifier key.

        Raises:
            NoteError: form, key type or key ID is wrong.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier key reads name+keyid+base64")
        kind, public = _key_material(parts[0], parts[2])
        key = cls(parts[0], kind, public)
        if parts[1] != key.key_id.hex():
            raise NoteError(f"the key {key.name} says ID {parts[1]!r}, but its ID is {key.key_id.hex()}")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_to_base64(bytes([self.kind]) + self.public)}"

    def check(self, text: str, signature: Signature) -> None:
        """Check this key's signature over a note text.

        Raises:
            NoteError: it is another key's, malformed or does not verify.
        """
        if (signature.name, signature.key_id) != (self.name, self.key_id):
            raise NoteError(
                f"the signature by {signature.name}+{signature.key_id.hex()} is not by {self.label}"
            )
        message, value = text.encode(), signature.value
        if self.kind is KeyType.COSIGNATURE_V1:
            message, value = _cosigned(text, signature.time), value[8:]
        try:
            self._key.verify(value, message)
        except InvalidSignature as error:
            raise NoteError(f"the signature by {self.label} does not verify") from error

    @property
    def label(self) -> str:
        """Name and key ID, for messages."""
        return f"{self.name}+{self.key_id.hex()}"


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key with its name, written ``PRIVATE+KEY+name+keyid+base64(type || seed)``."""

    name: str
    kind: KeyType
    seed: bytes = field(repr=False)
    verifier: VerifierKey = field(init=False, repr=False, compare=False)
    _key: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.seed) != _KEY_SIZE:
            raise NoteError(f"the private key {self.name} has {len(self.seed)} bytes, not {_KEY_SIZE}")
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_key", key)
        object.__setattr__(
            self, "verifier", VerifierKey(self.name, self.kind, key.public_key().public_bytes_raw())
        )

    @classmethod
    def generate(cls, name: str, kind: KeyType = KeyType.ED25519) -> Self:
        """A new random key.

        Raises:
            NoteError: the name is empty or holds a space, a plus or a control character.
        """
        return cls(name, kind, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a signer key.

        Raises:
            NoteError: form, key type or key ID is wrong.
        """
        parts = text.removeprefix(_PRIVATE).split("+", 2)
        if not text.startswith(_PRIVATE) or len(parts) != 3:
            raise NoteError("a signer key reads PRIVATE+KEY+name+keyid+base64")
        kind, seed = _key_material(parts[0], parts[2])
        key = cls(parts[0], kind, seed)
        if parts[1] != key.verifier.key_id.hex():
            raise NoteError(f"the private key {key.name} says an ID that is not its own")
        return key

    def encode(self) -> str:
        """The key as text, the seed in clear: for a file that only its owner reads."""
        return f"{_PRIVATE}{self.verifier.label}+{_to_base64(bytes([self.kind]) + self.seed)}"

    def sign(self, text: str, time: int | None = None) -> Signature:
        """Sign a note text; a cosignature needs ``time`` (POSIX seconds), a plain signature takes none.

        Raises:
            NoteError: the text is no note text, or the time is missing, unwanted or out of range.
        """
        _check_text(text)
        if self.kind is KeyType.ED25519:
            if time is not None:
                raise NoteError(f"the key {self.name} is no witness's: its signature holds no time")
            return Signature(self.name, self.verifier.key_id, self._key.sign(text.encode()))
        if time is None or not 0 <= time <= MAX_TIME:
            raise NoteError(f"a cosignature by {self.name} needs a time from 0 to 2^63 - 1")
        return Signature(
            self.name, self.verifier.key_id, time.to_bytes(8, "big") + self._key.sign(_cosigned(text, time))
        )


def sign_note(text: str, *keys: SignerKey) -> str:
    """A signed note over the text (which ends in a newline), one signature line a key, in order.

    Raises:
        NoteError: the text is no note text, no key is given, or a key is a witness's.
    """
    if not keys:
        raise NoteError("a note needs a signature")
    return str(Note(text, tuple(key.sign(text) for key in keys)))


def cosign_note(note: str | bytes, key: SignerKey, time: int) -> str:
    """The note with a witness's cosignature added; an earlier one by the same key is replaced.

    The caller has checked what a witness vouches for: that the checkpoint extends the last one it saw.

    Raises:
        NoteError: the note is malformed or the key is not a witness's.
    """
    if key.kind is not KeyType.COSIGNATURE_V1:
        raise NoteError(f"the key {key.name} is not a witness's (type 4)")
    parsed = parse_note(note)
    identity = (key.name, key.verifier.key_id)
    kept = tuple(line for line in parsed.signatures if (line.name, line.key_id) != identity)
    if len(kept) >= MAX_SIGNATURES:
        raise NoteError(f"the note has {len(kept)} signatures already; {MAX_SIGNATURES} is the most")
    return str(Note(parsed.text, (*kept, key.sign(parsed.text, time))))


def parse_note(note: str | bytes) -> Note:
    """Read a note without verifying it.

    Raises:
        NoteError: see rules 1 and 2.
    """
    text = _decode(note)
    cut = text.rfind("\n\n")
    if cut < 0:
        raise NoteError("the note has no empty line between text and signatures")
    body, tail = text[: cut + 1], text[cut + 2 :]
    if not body.strip("\n"):
        raise NoteError("the note has no text")
    if not tail:
        raise NoteError("the note has no signature")
    if not tail.endswith("\n"):
        raise NoteError("the note does not end in a newline")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"the note has {len(lines)} signatures; {MAX_SIGNATURES} is the most")
    return Note(body, tuple(_parse_line(line, number) for number, line in enumerate(lines, 1)))


def open_note(note: str | bytes, keys: Iterable[VerifierKey]) -> OpenedNote:
    """Read a note and verify it against the keys that are trusted (rule 3).

    Raises:
        NoteError: it is malformed, a known key's signature fails, or none of the keys signed it.
    """
    parsed = parse_note(note)
    known = _by_identity(keys)
    verified: dict[tuple[str, bytes], Signature] = {}
    unverified: dict[Signature, None] = {}
    for signature in parsed.signatures:
        identity = (signature.name, signature.key_id)
        if identity in verified:
            continue
        key = known.get(identity)
        if key is None:
            unverified[signature] = None
            continue
        key.check(parsed.text, signature)
        verified[identity] = signature
    if not verified:
        signers = ", ".join(f"{line.name}+{line.key_id.hex()}" for line in unverified)
        raise NoteError(f"no trusted key signed the note; it is signed by {signers}")
    return OpenedNote(parsed.text, tuple(verified.values()), tuple(unverified))


def _by_identity(keys: Iterable[VerifierKey]) -> dict[tuple[str, bytes], VerifierKey]:
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise NoteError(f"two different keys share the name and ID {key.label}")
    return known


def _parse_line(line: str, number: int) -> Signature:
    parts: Sequence[str] = line.removeprefix("— ").split(" ")
    if not line.startswith("— ") or len(parts) != 2:
        raise NoteError(f"signature line {number} does not read: — name base64")
    _check_name(parts[0])
    value = _from_base64(parts[1], f"the signature by {parts[0]}")
    if len(value) < 5:
        raise NoteError(
            f"the signature by {parts[0]} is {len(value)} bytes: too short for a key ID and a signature"
        )
    return Signature(parts[0], value[:4], value[4:])


def _decode(note: str | bytes) -> str:
    try:
        raw = note.encode() if isinstance(note, str) else note
        text = raw.decode() if isinstance(note, bytes) else note
    except UnicodeError as error:
        raise NoteError("the note is not valid UTF-8") from error
    if len(raw) > MAX_NOTE:
        raise NoteError(f"the note has {len(raw)} bytes; {MAX_NOTE} is the most")
    if found := _CONTROL.search(text):
        raise NoteError(f"the note holds the control character {found.group()!r}")
    return text


def _check_text(text: str) -> None:
    _decode(text)
    if not text.endswith("\n") or not text.strip("\n"):
        raise NoteError("a note text is not empty and ends in a newline")


def _check_name(name: str) -> None:
    if not name or "+" in name or _CONTROL.search(name) or any(character.isspace() for character in name):
        raise NoteError(f"the key name {name!r} is empty or holds a space, a plus or a control character")


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _key_material(name: str, text: str) -> tuple[KeyType, bytes]:
    material = _from_base64(text, f"the key {name!r}")
    if not material or material[0] not in tuple(KeyType):
        raise NoteError(f"the key {name!r} is of a type that is not known here (1 and 4 are)")
    return KeyType(material[0]), material[1:]


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeError, binascii.Error) as error:
        raise NoteError(f"{what} is not base64") from error
    if _to_base64(data) != text:
        raise NoteError(f"{what} is not canonical base64")
    return data
