"""The log as files in the C2SP tlog-tiles layout: checkpoint, tiles, entry bundles, the log's public keys, and the sealed rows.

Rules
-----
1. What is missing in the database is left out, not covered up: the verifier names it.
2. Full tiles come from the database as they are; partial ones from the running log's memory, which no administrator of the
   database reaches: that is what tells which entry was changed.
3. Sealed rows (``payload/...``, JSON lines) hold ciphertext and keyed digests; they let a verifier check every stored column
   against its leaf without a key.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from services.audit.store import Store
from tlog.hashing import HASH_SIZE
from tlog.note import VerifierKey
from tlog.tiles import TILE_WIDTH, TileCoord, TileError, TileReader, encode_bundle, tile_path, tile_width

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def tile_or_bundle(store: Store, tiles: TileReader, size: int, coord: TileCoord) -> bytes:
    """Return a hash tile or an entry bundle of a log of ``size`` entries.

    Raises:
        TileError: it is not in the log, or an entry of it is missing.
    """
    if coord.width > tile_width(size, coord.level or 0, coord.index):
        raise TileError(f"{coord.path} is not in a log of {size} entries")
    if coord.level is not None:
        return await tiles.read(coord.level, coord.index, coord.width)
    first = coord.index * TILE_WIDTH
    rows = await store.entries(first, first + coord.width)
    if len(rows) != coord.width:
        present = {i for i, _ in rows}
        missing = next(i for i in range(first, first + coord.width) if i not in present)
        raise TileError(f"entry {missing} is missing from the log's database")
    return encode_bundle(entry for _, entry in rows)


async def export(
    store: Store,
    tiles: TileReader,
    size: int,
    note: str,
    keys: Sequence[VerifierKey],
    *,
    payloads: bool = False,
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield (path, bytes) of every file."""
    yield "log.vkey", "".join(f"{key}\n" for key in keys).encode()
    yield "checkpoint", note.encode()
    level = 0
    while size >> (8 * level):
        for index in range(-(-(size >> (8 * level)) // TILE_WIDTH)):
            width = tile_width(size, level, index)
            if (data := await _tile(store, tiles, level, index, width)) is not None:
                yield tile_path(level, index, width), data
        level += 1
    for index in range(-(-size // TILE_WIDTH)):
        first, width = index * TILE_WIDTH, min(TILE_WIDTH, size - index * TILE_WIDTH)
        path = tile_path(None, index, width)
        with suppress(TileError):
            yield path, encode_bundle(entry for _, entry in await store.entries(first, first + width))
        if payloads:
            lines = [_line(row) for row in await store.rows(first, first + width)]
            yield path.replace("tile/entries", "payload"), "".join(lines).encode()


async def _tile(store: Store, tiles: TileReader, level: int, index: int, width: int) -> bytes | None:
    if width == TILE_WIDTH:
        return await store.tile(level, index)
    try:
        return (await tiles.read(level, index, width))[: width * HASH_SIZE]
    except (TileError, ValueError):
        return None


def _line(row: dict[str, Any]) -> str:
    key = row["wrapped_key"]
    return json.dumps(
        {
            "index": row["index"], "event_id": row["event_id"], "occurred_us": (row["occurred_at"] - _EPOCH) // timedelta(microseconds=1),
            "action": row["action"], "phase": row["phase"], "status": row["status"], "digest": _b64(row["digest"]),
            "terms": [_b64(term) for term in row["terms"]], "sealed": _b64(row["sealed"]), "wrapped_key": None if key is None else _b64(key),
        }, separators=(",", ":"),
    ) + "\n"  # fmt: skip


def _b64(data: bytes) -> str:
    return b64encode(data).decode()
