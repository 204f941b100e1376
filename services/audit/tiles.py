"""The log's tiles as the tree reads them: the newest ones from memory, the others from the database."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from services.audit.store import Store
from tlog.hashing import HASH_SIZE
from tlog.tiles import Tile, TileError

_MOST_KEPT = 2048


class StoredTiles:
    """A ``tlog.tiles.TileReader``. What it keeps is what the sequencer committed, or full tiles, which never change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    async def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first ``width`` hashes of a tile.

        Raises:
            TileError: the tile is missing or narrower than that.
        """
        wanted = width * HASH_SIZE
        data = self._kept.get((level, index), b"")
        if len(data) < wanted:
            data = await self._store.tile(level, index) or b""
            if len(data) < wanted:
                raise TileError(
                    f"tile {level}/{index} holds {len(data) // HASH_SIZE} hashes, {width} are needed"
                )
            self._keep(level, index, data)
        return data[:wanted]

    def remember(self, tiles: Iterable[Tile]) -> None:
        """Keep tiles that were committed."""
        for tile in tiles:
            if tile.coord.level is not None:
                self._keep(tile.coord.level, tile.coord.index, tile.data)

    def forget(self) -> None:
        """Drop what is kept."""
        self._kept.clear()

    def _keep(self, level: int, index: int, data: bytes) -> None:
        self._kept[level, index] = data
        self._kept.move_to_end((level, index))
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
