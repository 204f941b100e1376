"""Tiles and entry bundles of C2SP tlog-tiles: where they lie, how wide they are, how they are written.

Rules
-----
1. A tile is up to 256 neighbouring hashes of one level, 32 bytes each; level L holds the roots over full
   tiles of level L-1, level 0 the leaf hashes.
2. A full tile never changes. A partial tile (1 to 255 wide) lies under a path of its own (``.p/<W>``), and
   is never hashed into the level above. Empty tiles do not exist.
3. The width of a tile follows from the tree size alone.
4. Paths are canonical: three-digit groups, all but the last with an ``x``; anything else is refused.
5. An entry bundle holds the entries of the level-0 tile of the same index, each behind a big-endian uint16
   length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tlog.hashing import HASH_SIZE

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_LEVEL = 63
MAX_ENTRY = 0xFFFF

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


class TileError(ValueError):
    """A path, tile or entry bundle is malformed; the message says what and where."""


@dataclass(frozen=True, slots=True)
class TileCoord:
    """Which tile: level (0 to 63; ``None`` for an entry bundle), index in the level, width (1 to 256)."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix, such as ``tile/0/x001/x234/067`` or ``tile/entries/000.p/7``."""
        return tile_path(self.level, self.index, self.width)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile to write: its coordinates and its ``width * 32`` bytes."""

    coord: TileCoord
    data: bytes


class TileReader(Protocol):
    """Where tiles are read from: a table, a folder, an HTTP server."""

    async def read(self, level: int, index: int, width: int) -> bytes:
        """The first ``width`` hashes of the tile, ``width * 32`` bytes.

        A store that holds only the full tile cuts it: hashes never change once they are there.
        """
        ...


def tile_path(level: int | None, index: int, width: int = TILE_WIDTH) -> str:
    """The path of a tile, or of an entry bundle (``level=None``).

    Raises:
        TileError: level, index or width is out of range.

    Example:
        >>> tile_path(0, 1234067)
        'tile/0/x001/x234/067'
        >>> tile_path(None, 0, 7)
        'tile/entries/000.p/7'
    """
    if level is not None and not 0 <= level <= MAX_LEVEL:
        raise TileError(f"tile level {level} is not within 0 to {MAX_LEVEL}")
    if index < 0:
        raise TileError(f"tile index {index} is negative")
    if not 1 <= width <= TILE_WIDTH:
        raise TileError(f"tile width {width} is not within 1 to {TILE_WIDTH}")
    groups = f"{index % 1000:03d}"
    rest = index // 1000
    while rest:
        groups = f"x{rest % 1000:03d}/{groups}"
        rest //= 1000
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{groups}{suffix}"


def parse_tile_path(path: str) -> TileCoord:
    """The coordinates that a tile or bundle path names; only the canonical spelling is taken.

    Raises:
        TileError: the path is not one that :func:`tile_path` writes.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise TileError(f"{path!r} is not a tile path (tile/<L>/<NNN>[.p/<W>] or tile/entries/<NNN>[.p/<W>])")
    level = None if found["level"] == "entries" else int(found["level"])
    coord = TileCoord(
        level, int(found["index"].replace("x", "").replace("/", "")), int(found["width"] or TILE_WIDTH)
    )
    if coord.path != path:
        raise TileError(f"{path!r} is not the canonical tile path, which is {coord.path!r}")
    return coord


def tile_width(size: int, level: int, index: int) -> int:
    """How wide the tile is in a tree of ``size`` entries: 0 (not there) to 256."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def changed_tiles(old_size: int, new_size: int) -> Iterator[TileCoord]:
    """The tiles that differ between two sizes of a tree, level by level, each at its width in the new tree.

    Raises:
        TileError: the tree would shrink.
    """
    if not 0 <= old_size <= new_size:
        raise TileError(f"a log only grows: {new_size} entries after {old_size}")
    level = 0
    while new_size >> (TILE_HEIGHT * level):
        yield from _changed(level, old_size >> (TILE_HEIGHT * level), new_size >> (TILE_HEIGHT * level))
        level += 1


def changed_bundles(old_size: int, new_size: int) -> Iterator[TileCoord]:
    """The entry bundles that differ between two sizes of a log.

    Raises:
        TileError: the log would shrink.
    """
    if not 0 <= old_size <= new_size:
        raise TileError(f"a log only grows: {new_size} entries after {old_size}")
    yield from _changed(None, old_size, new_size)


def _changed(level: int | None, old: int, new: int) -> Iterator[TileCoord]:
    for index in range(old >> TILE_HEIGHT, -(-new // TILE_WIDTH) if new > old else 0):
        yield TileCoord(level, index, min(TILE_WIDTH, new - index * TILE_WIDTH))


def split_tile(data: bytes, width: int) -> list[bytes]:
    """The ``width`` hashes of a tile.

    Raises:
        TileError: the data is not exactly ``width * 32`` bytes long.
    """
    if len(data) != width * HASH_SIZE:
        raise TileError(f"a tile of {width} hashes is {width * HASH_SIZE} bytes, not {len(data)}")
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """An entry bundle of 1 to 256 entries.

    Raises:
        TileError: an entry is longer than 65,535 bytes, or there are none or more than 256.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise TileError(
                f"entry {len(parts)} of the bundle has {len(entry)} bytes; {MAX_ENTRY} is the most"
            )
        parts.append(len(entry).to_bytes(2, "big") + entry)
    if not 1 <= len(parts) <= TILE_WIDTH:
        raise TileError(f"a bundle holds 1 to {TILE_WIDTH} entries, not {len(parts)}")
    return b"".join(parts)


def decode_bundle(data: bytes, width: int | None = None) -> list[bytes]:
    """The entries of a bundle; with ``width``, exactly so many.

    Raises:
        TileError: the bundle is cut short, or holds another number of entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        end = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or end > len(data):
            raise TileError(f"the bundle is cut short within its entry {len(entries)} (byte {len(data)})")
        entries.append(data[start:end])
        at = end
    if width is not None and len(entries) != width:
        raise TileError(f"the bundle holds {len(entries)} entries, not {width}")
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise TileError(f"a bundle holds 1 to {TILE_WIDTH} entries, not {len(entries)}")
    return entries
