"""Page tokens: where a page ended, sealed to the query it belongs to.

A token holds the sort key of the last row and a MAC over it, the query and who asked. It is of no use for
another query, another member or another agency, and cannot be made up: a page is only ever the continuation
of a search that was decided and recorded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError

_FORM = struct.Struct(">Bq16s")
_MAC_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Sort key of a row: its class (0 best), its time, its ID."""

    rank: int
    seen_at: datetime
    read_id: UUID


def page_key(master: bytes) -> bytes:
    """Return the key of page tokens, apart from the key of crops."""
    return hmac.digest(master, b"plateward reads page token", "sha256")


def query_digest(request: reads_pb2.SearchReadsRequest, subject: types_pb2.Subject) -> bytes:
    """Return what a token is sealed to: all of the request but its page, and who asks."""
    bare = reads_pb2.SearchReadsRequest()
    bare.CopyFrom(request)
    bare.ClearField("page")
    asker = f"{subject.agency_id}\0{subject.member_id}\0".encode()
    return hashlib.sha256(asker + bare.SerializeToString(deterministic=True)).digest()


def make_token(key: bytes, digest: bytes, place: Place) -> str:
    """Return the token of the page after ``place``."""
    micros = (place.seen_at - _EPOCH) // timedelta(microseconds=1)
    body = _FORM.pack(place.rank, micros, place.read_id.bytes)
    return base64.urlsafe_b64encode(body + _mac(key, digest, body)).decode()


def open_token(key: bytes, digest: bytes, token: str) -> Place | None:
    """Return where a token goes on; ``None`` for an empty one.

    Raises:
        PlatewardError: CURSOR_INVALID when the token is not of this query and asker.
    """
    if not token:
        return None
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    body, mac = raw[: _FORM.size], raw[_FORM.size :]
    if len(body) != _FORM.size or not hmac.compare_digest(mac, _mac(key, digest, body)):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_CURSOR_INVALID,
            "The page token belongs to another search: send the same search unchanged with it, or begin without one.",
        )
    rank, micros, read_id = _FORM.unpack(body)
    return Place(rank, _EPOCH + timedelta(microseconds=micros), UUID(bytes=read_id))


def _mac(key: bytes, digest: bytes, body: bytes) -> bytes:
    return hmac.digest(key, digest + body, "sha256")[:_MAC_BYTES]
