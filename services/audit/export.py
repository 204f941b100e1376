"""The public log as files in the C2SP tlog-tiles layout: checkpoint, tiles, entry bundles, and the log's public key."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.audit.store import Store
from tlog.hashing import HASH_SIZE
from tlog.tiles import TILE_WIDTH, TileError, encode_bundle, tile_path, tile_width


async def entry_bundle(store: Store, index: int, width: int) -> bytes:
    """Return an entry bundle as stored.

    Raises:
        TileError: an entry of it is missing.
    """
    first = index * TILE_WIDTH
    rows = await store.entries(first, first + width)
    if [i for i, _ in rows] != list(range(first, first + width)):
        present = {i for i, _ in rows}
        missing = next(i for i in range(first, first + width) if i not in present)
        raise TileError(f"entry {missing} is missing from the log's database")
    return encode_bundle(entry for _, entry in rows)


async def export(store: Store, size: int, note: str, verifier_key: str) -> AsyncIterator[tuple[str, bytes]]:
    """Yield (path, bytes) of every file. Entries that are missing shorten their bundle: the verifier names them."""
    yield "log.vkey", verifier_key.encode() + b"\n"
    yield "checkpoint", note.encode()
    async for level, index, data in store.all_tiles():
        width = tile_width(size, level, index)
        if width > 0:
            yield tile_path(level, index, width), data[: width * HASH_SIZE]
    for index in range((size + TILE_WIDTH - 1) // TILE_WIDTH):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        rows = await store.entries(index * TILE_WIDTH, index * TILE_WIDTH + width)
        yield tile_path(None, index, width), encode_bundle(entry for _, entry in rows)
