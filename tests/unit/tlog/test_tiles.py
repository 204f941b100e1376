"""Paths and widths: the examples of C2SP tlog-tiles, and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.tiles import (
    TileCoord,
    TileError,
    changed_bundles,
    changed_tiles,
    decode_bundle,
    encode_bundle,
    parse_tile_path,
    split_tile,
    tile_path,
    tile_width,
)


def test_an_empty_tree_has_no_tiles():
    assert list(changed_tiles(0, 0)) == []
    assert list(changed_bundles(0, 0)) == []
    assert tile_width(0, 0, 0) == 0


@pytest.mark.parametrize(
    ("path", "coord"),
    [
        ("tile/0/x001/x234/067", TileCoord(0, 1234067)),
        ("tile/0/000", TileCoord(0, 0)),
        ("tile/1/000.p/1", TileCoord(1, 0, 1)),
        ("tile/63/999.p/255", TileCoord(63, 999, 255)),
        ("tile/5/x123/x456/078.p/2", TileCoord(5, 123456078, 2)),
        ("tile/entries/x001/000", TileCoord(None, 1000)),
        ("tile/entries/273.p/112", TileCoord(None, 273, 112)),
    ],
)
def test_paths(path, coord):
    assert coord.path == path
    assert parse_tile_path(path) == coord


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/123/456",
        "tile/0/x000/001",
        "tile/0/x001/x234",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/\u0661\u0662\u0663",
    ],
)
def test_paths_that_are_not_canonical_are_refused(path):
    with pytest.raises(TileError):
        parse_tile_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_no_path_out_of_range(level, index, width):
    with pytest.raises(TileError):
        tile_path(level, index, width)


@given(st.none() | st.integers(0, 63), st.integers(0, 1 << 60), st.integers(1, 256))
def test_paths_round_trip(level, index, width):
    assert parse_tile_path(tile_path(level, index, width)) == TileCoord(level, index, width)


def test_the_example_of_70000_entries():
    tiles = list(changed_tiles(0, 70_000))
    assert sum(tile.level == 0 and tile.width == 256 for tile in tiles) == 273
    assert [tile for tile in tiles if tile.width < 256] == [
        TileCoord(0, 273, 112),
        TileCoord(1, 1, 17),
        TileCoord(2, 0, 1),
    ]
    assert sum(tile.level == 1 and tile.width == 256 for tile in tiles) == 1
    assert list(changed_tiles(0, 256)) == [TileCoord(0, 0), TileCoord(1, 0, 1)]


@given(st.integers(0, 200_000), st.integers(0, 2_000))
def test_changed_tiles_are_those_whose_width_changed(old, grown):
    new = old + grown
    changed = list(changed_tiles(old, new))
    assert len(set(changed)) == len(changed)
    for tile in changed:
        assert (
            tile.width == tile_width(new, tile.level, tile.index) != tile_width(old, tile.level, tile.index)
        )
    expected = sum(
        tile_width(new, level, index) != tile_width(old, level, index)
        for level in range(4)
        for index in range(max(0, (old >> 8 * (level + 1)) - 1), (new >> 8 * (level + 1)) + 1)
    )
    assert len(changed) == expected
    assert [(b.index, b.width) for b in changed_bundles(old, new)] == [
        (t.index, t.width) for t in changed if t.level == 0
    ]


@pytest.mark.parametrize("changed", [changed_tiles, changed_bundles])
def test_a_log_never_shrinks(changed):
    with pytest.raises(TileError, match="only grows"):
        list(changed(2, 1))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_bundles_round_trip(entries):
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


def test_bundle_layout():
    assert encode_bundle([b"", b"ab"]) == b"\x00\x00\x00\x02ab"
    assert len(encode_bundle([bytes(65_535)])) == 65_537


@pytest.mark.parametrize("entries", [[], [b""] * 257, [bytes(65_536)]])
def test_what_no_bundle_holds(entries):
    with pytest.raises(TileError):
        encode_bundle(entries)


@pytest.mark.parametrize(
    ("data", "width", "reason"),
    [
        (b"", None, "not 0"),
        (b"\x00", None, "cut short"),
        (b"\x00\x02a", None, "cut short"),
        (b"\x00\x01a\x00", None, "cut short"),
        (b"\x00\x01a", 2, "1 entries, not 2"),
        (b"\x00\x00" * 257, None, "not 257"),
    ],
)
def test_malformed_bundles(data, width, reason):
    with pytest.raises(TileError, match=reason):
        decode_bundle(data, width)


def test_a_tile_of_the_wrong_length():
    with pytest.raises(TileError, match="64 bytes, not 63"):
        split_tile(bytes(63), 2)
