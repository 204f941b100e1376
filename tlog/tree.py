"""An append-only tree kept as tiles: growing it.

Rules
-----
1. What is held to grow is the right edge only: the peaks and the rightmost partial tile of each level (at
   most 255 hashes a level). The cost of an append does not depend on the size of the tree.
2. Growing changes nothing in place: it returns the tiles to write and the appender to go on with. A caller
   whose transaction fails drops the result and keeps the appender it had.
3. Tiles of the grown tree are returned at their final width; in-between partial tiles are not made, since
   no checkpoint asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from tlog.hashing import HASH_SIZE, complete_root, fold_peaks
from tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileCoord, TileReader, split_tile


@dataclass(frozen=True, slots=True)
class Growth:
    """What an append came to: the new size and root, the tiles to write, the appender to go on with."""

    size: int
    root: bytes
    tiles: tuple[Tile, ...]
    after: Appender


@dataclass(frozen=True, slots=True)
class Appender:
    """The right edge of a tree: size, peaks left to right, each level's partial tile (joined hashes)."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()
    edges: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        """The 32-byte root of the tree as it is."""
        return fold_peaks(self.peaks)

    @classmethod
    async def load(cls, size: int, reader: TileReader) -> Self:
        """The right edge of a stored tree of ``size`` leaves; one read a level that has a partial tile.

        Raises:
            TileError: a stored tile has the wrong length.
        """
        edges: list[bytes] = []
        peaks: list[bytes] = []
        level = 0
        while size >> (TILE_HEIGHT * level):
            count = size >> (TILE_HEIGHT * level)
            width = count % TILE_WIDTH
            data = await reader.read(level, count // TILE_WIDTH, width) if width else b""
            peaks[:0] = _peaks(split_tile(data, width))
            edges.append(data)
            level += 1
        return cls(size, tuple(peaks), tuple(edges))

    def grow(self, leaf_hashes: Iterable[bytes]) -> Growth:
        """Append leaves (32-byte hashes, in order); see rules 2 and 3.

        Raises:
            ValueError: a leaf hash is not 32 bytes long.
        """
        levels = [bytearray(edge) for edge in self.edges]
        firsts = [(self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH for level in range(len(levels))]
        peaks, size = list(self.peaks), self.size
        for leaf in leaf_hashes:
            if len(leaf) != HASH_SIZE:
                raise ValueError(f"a leaf hash has {HASH_SIZE} bytes, not {len(leaf)}")
            node, rest, height = leaf, size, 0
            while True:
                if not height % TILE_HEIGHT:
                    level = height // TILE_HEIGHT
                    if level == len(levels):
                        levels.append(bytearray())
                        firsts.append(0)
                    levels[level] += node
                if not rest & 1:
                    break
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                rest >>= 1
                height += 1
            peaks.append(node)
            size += 1
        tiles = tuple(self._tiles(levels, firsts))
        full = TILE_WIDTH * HASH_SIZE
        edges = tuple(bytes(hashes[len(hashes) // full * full :]) for hashes in levels)
        return Growth(size, fold_peaks(peaks), tiles, Appender(size, tuple(peaks), edges))

    def _tiles(self, levels: list[bytearray], firsts: list[int]) -> Iterable[Tile]:
        full = TILE_WIDTH * HASH_SIZE
        for level, hashes in enumerate(levels):
            if level < len(self.edges) and len(hashes) == len(self.edges[level]):
                continue
            for at in range(0, len(hashes), full):
                data = bytes(hashes[at : at + full])
                yield Tile(TileCoord(level, firsts[level] + at // full, len(data) // HASH_SIZE), data)


def _peaks(hashes: list[bytes]) -> list[bytes]:
    peaks: list[bytes] = []
    at = 0
    while at < len(hashes):
        step = 1 << ((len(hashes) - at).bit_length() - 1)
        peaks.append(complete_root(hashes[at : at + step]))
        at += step
    return peaks
