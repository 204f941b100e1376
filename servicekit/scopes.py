"""What an approval is bound to: the digest of the exact request that it is for."""

from __future__ import annotations

import hashlib

from google.protobuf.message import Message

DIGEST_BYTES = 32
_LEFT_OUT = ("approval_id", "page")


def request_digest(request: Message) -> bytes:
    """Return the SHA-256 (32 bytes) of a request without its approval ID and its page.

    The approval is not part of what it approves, and the pages of one answer are one query.
    """
    bare = type(request)()
    bare.CopyFrom(request)
    for name in _LEFT_OUT:
        if name in bare.DESCRIPTOR.fields_by_name:
            bare.ClearField(name)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()


def is_next_page(request: Message) -> bool:
    """Return whether a request asks for a following page; its token is checked by who gave it out."""
    page = getattr(request, "page", None)
    return bool(getattr(page, "token", ""))
