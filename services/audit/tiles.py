"""The log's tiles as the tree reads them: the right edge from memory, full tiles from the database.

Rules
-----
1. The database holds full tiles only: they never change.
2. A partial tile is the start of a full one, or of the right edge. The sequencer keeps the edge; without one
   (:class:`RebuiltTiles`) it is made from what is below it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from services.audit.store import Store
from tlog.hashing import HASH_SIZE, complete_root, leaf_hash
from tlog.tiles import TILE_WIDTH, Tile, TileError, split_tile

_MOST_KEPT = 2048


class RebuiltTiles:
    """A ``tlog.tiles.TileReader`` over the database alone: for starting, and for whoever checks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first ``width`` hashes of a tile.

        Raises:
            TileError: what it is made of is missing or malformed.
        """
        full = await self._store.tile(level, index)
        if full is not None:
            if len(full) != TILE_WIDTH * HASH_SIZE:
                raise TileError(f"tile {level}/{index} holds {len(full)} bytes, not {TILE_WIDTH * HASH_SIZE}")
            return full[: width * HASH_SIZE]
        first = index * TILE_WIDTH
        if level == 0:
            rows = await self._store.entries(first, first + width)
            hashes = [leaf_hash(entry) for _, entry in rows]
        else:
            below = [await self._store.tile(level - 1, child) for child in range(first, first + width)]
            hashes = [complete_root(split_tile(data, TILE_WIDTH)) for data in below if data is not None]
        if len(hashes) != width:
            raise TileError(f"tile {level}/{index} can be made of {len(hashes)} hashes, {width} are needed")
        return b"".join(hashes)


class StoredTiles:
    """A ``tlog.tiles.TileReader`` for the running log."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rebuilt = RebuiltTiles(store)
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._size = 0
        self._edges: Sequence[bytes] = ()

    async def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first ``width`` hashes of a tile.

        Raises:
            TileError: the tile is missing or narrower than that.
        """
        wanted = width * HASH_SIZE
        if level < len(self._edges) and index == (self._size >> (8 * level)) // TILE_WIDTH:
            data = self._edges[level]
        else:
            data = self._kept.get((level, index)) or await self._rebuilt.read(level, index, TILE_WIDTH)
            self._keep(level, index, data)
        if len(data) < wanted:
            raise TileError(f"tile {level}/{index} holds {len(data) // HASH_SIZE} hashes, {width} are needed")
        return data[:wanted]

    def advance(self, size: int, edges: Sequence[bytes], tiles: Iterable[Tile] = ()) -> None:
        """Take the right edge of the tree, and full tiles, as they were committed."""
        self._size, self._edges = size, edges
        for tile in tiles:
            if tile.coord.level is not None and tile.coord.width == TILE_WIDTH:
                self._keep(tile.coord.level, tile.coord.index, tile.data)

    def forget(self) -> None:
        """Drop what is kept."""
        self._kept.clear()

    def _keep(self, level: int, index: int, data: bytes) -> None:
        self._kept[level, index] = data
        self._kept.move_to_end((level, index))
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
