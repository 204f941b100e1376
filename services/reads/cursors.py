"""Cursors of followers: ``<txid>:<seq>``, a place in commit order.

A transaction's number is given before it commits, so a higher number may be visible first. The order is
therefore read only up to the oldest transaction that still runs: below it nothing can appear any more, and a
follower that goes by it never skips a read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

_FORM = re.compile(r"([0-9]{1,20}):([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """After the read number ``seq`` of transaction ``txid``."""

    txid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.txid}:{self.seq}"


START = Cursor(0, 0)
"""Before the first read."""


def parse_cursor(text: str) -> Cursor:
    """Return the cursor that a follower sent; empty text is ``START``.

    Raises:
        PlatewardError: CURSOR_INVALID when the service cannot have given it out.
    """
    if not text:
        return START
    match = _FORM.fullmatch(text)
    if match is None or int(match[1]) >= 2**64 or int(match[2]) >= 2**63:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_CURSOR_INVALID,
            "The cursor is not one that this service gave out: send the last one unchanged, or none to start over.",
        )
    return Cursor(int(match[1]), int(match[2]))
