"""Proofs within a tree of one size, built from its tiles.

Rules
-----
1. A tile is read once and hashed once, whatever the number of proofs: 255 hashes a tile, then look-ups.
2. A prover belongs to one tree size. It is made for a batch of proofs and dropped.
"""

from __future__ import annotations

from hashlib import sha256

from tlog.hashing import fold_peaks
from tlog.proofs import ProofError
from tlog.tiles import TILE_HEIGHT, TILE_WIDTH, TileReader, split_tile, tile_width

_Rows = list[list[bytes]]


class Prover:
    """Builds the proofs of one tree."""

    def __init__(self, size: int, reader: TileReader) -> None:
        self._size = size
        self._reader = reader
        self._tiles: dict[tuple[int, int], _Rows] = {}
        self._hashes: dict[tuple[int, int], bytes] = {}

    async def inclusion(self, index: int) -> list[bytes]:
        """The hashes that prove leaf ``index`` (RFC 9162 section 2.1.3.1), from the leaf up.

        Raises:
            ProofError: the index is not within the tree.
            TileError: a stored tile has the wrong length.
        """
        if not 0 <= index < self._size:
            raise ProofError(f"index {index} is not within a tree of {self._size} entries")
        ranges: list[tuple[int, int]] = []
        low, high = 0, self._size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                ranges.append((middle, high))
                high = middle
            else:
                ranges.append((low, middle))
                low = middle
        return [await self._hash(*span) for span in reversed(ranges)]

    async def consistency(self, old_size: int) -> list[bytes]:
        """The hashes that prove that the tree begins with that of ``old_size`` (RFC 9162 section 2.1.4).

        Raises:
            ProofError: the old tree is the larger one.
            TileError: a stored tile has the wrong length.
        """
        if not 0 <= old_size <= self._size:
            raise ProofError(f"a log only grows: {self._size} entries cannot follow {old_size}")
        if old_size in (0, self._size):
            return []
        ranges: list[tuple[int, int]] = []
        low, high = 0, self._size
        while old_size != high:
            middle = low + _split(high - low)
            if old_size <= middle:
                ranges.append((middle, high))
                high = middle
            else:
                ranges.append((low, middle))
                low = middle
        if low:
            ranges.append((low, high))
        return [await self._hash(*span) for span in reversed(ranges)]

    async def _hash(self, low: int, high: int) -> bytes:
        """The hash over leaves ``low`` to ``high``: complete subtrees, folded."""
        known = self._hashes.get((low, high))
        if known is None:
            peaks: list[bytes] = []
            at = low
            while at < high:
                height = (high - at).bit_length() - 1
                level, inside = divmod(height, TILE_HEIGHT)
                index, offset = divmod(at >> (TILE_HEIGHT * level), TILE_WIDTH)
                peaks.append((await self._rows(level, index))[inside][offset >> inside])
                at += 1 << height
            known = self._hashes[low, high] = fold_peaks(peaks)
        return known

    async def _rows(self, level: int, index: int) -> _Rows:
        """The tile's hashes and, row by row, those of the complete subtrees above them."""
        rows = self._tiles.get((level, index))
        if rows is None:
            width = tile_width(self._size, level, index)
            data = await self._reader.read(level, index, width)
            row = split_tile(data, width)
            rows = [row]
            while len(row) > 1:
                row = [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)]
                rows.append(row)
            self._tiles[level, index] = rows
        return rows


async def inclusion_proof(index: int, size: int, reader: TileReader) -> list[bytes]:
    """One inclusion proof; see :meth:`Prover.inclusion`."""
    return await Prover(size, reader).inclusion(index)


async def consistency_proof(old_size: int, new_size: int, reader: TileReader) -> list[bytes]:
    """One consistency proof; see :meth:`Prover.consistency`."""
    return await Prover(new_size, reader).consistency(old_size)


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)
