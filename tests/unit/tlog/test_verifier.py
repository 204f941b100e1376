"""The offline check finds every alteration and names the first bad entry."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlog.checkpoint import Checkpoint
from tlog.hashing import EMPTY_ROOT, leaf_hash
from tlog.note import KeyType, SignerKey, cosign_note
from tlog.prover import inclusion_proof
from tlog.receipt import Receipt
from tlog.tiles import TileError, changed_bundles, encode_bundle, tile_path
from tlog.tree import Appender
from tlog.verifier import entries_from_bundles, fsck

pytestmark = pytest.mark.req("R-AUD-1")
LOG = SignerKey.generate("log.example/plates")
KEYS = [LOG.verifier]


class Log:
    """An honest log with the stored tiles of its last size, and helpers to do wrong with it."""

    def __init__(self, size, entries=None):
        self.entries = [b"entry %d" % index for index in range(size)] if entries is None else entries
        self.growth = Appender().grow(leaf_hash(entry) for entry in self.entries)
        self.tiles = {tile.coord.path: tile.data for tile in self.growth.tiles}
        self.note = self.checkpoint(len(self.entries))

    def checkpoint(self, size):
        root = Appender().grow(leaf_hash(entry) for entry in self.entries[:size]).root
        return Checkpoint(LOG.name, size, root).sign(LOG)

    def receipt(self, index):
        tiles = {(tile.coord.level, tile.coord.index): tile.data for tile in self.growth.tiles}

        class Store:
            async def read(self, level, at, width):
                return tiles[level, at][: width * 32]

        proof = asyncio.run(inclusion_proof(index, len(self.entries), Store()))
        return Receipt("id", index, leaf_hash(self.entries[index]), self.note, tuple(proof))

    def rows(self):
        return list(enumerate(self.entries))

    def check(self, rows=None, tiles=None, note=None, **options):
        return fsck(
            self.rows() if rows is None else rows,
            self.tiles if tiles is None else tiles,
            self.note if note is None else note,
            KEYS,
            **options,
        )


def test_the_empty_log_is_whole():
    report = Log(0).check()
    assert report.ok
    assert report.first is None
    assert (report.size, report.entries, report.root) == (0, 0, EMPTY_ROOT)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700, 65_537])
def test_an_honest_log_is_whole(size):
    log = Log(size)
    report = log.check(
        earlier=[log.checkpoint(at) for at in {0, 1, size // 2, size}], receipts=[log.receipt(size // 2)]
    )
    assert report.findings == ()
    assert (report.size, report.entries, report.pending, report.root) == (size, size, 0, log.growth.root)


def test_entries_not_yet_published_are_only_counted():
    log = Log(300)
    report = log.check(note=log.checkpoint(290), tiles=Log(290).tiles)
    assert report.ok
    assert (report.entries, report.pending) == (290, 10)


def test_full_tiles_stand_in_for_partial_ones():
    assert Log(300).check(rows=Log(200).rows(), note=Log(200).note, tiles=Log(300).tiles).ok


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(2, 600))
def test_random_tampering_is_found_and_its_first_entry_named(data, size):
    log = Log(size)
    rows, tiles = log.rows(), dict(log.tiles)
    at = data.draw(st.integers(0, size - 1))
    kind = data.draw(st.sampled_from(["change", "delete", "drop", "swap", "truncate", "repeat", "insert"]))
    expected = {"entry"}
    if kind == "change":
        rows[at] = (at, rows[at][1] + b"!")
    elif kind == "delete":
        del rows[at]
        expected = {"missing"} if at < size - 1 else {"truncated"}
    elif kind == "drop":
        rows = list(enumerate(entry for index, entry in rows if index != at))
        expected = {"entry"} if at < size - 1 else {"truncated"}
    elif kind == "swap":
        at = data.draw(st.integers(0, size - 2))
        rows[at], rows[at + 1] = (at, rows[at + 1][1]), (at + 1, rows[at][1])
    elif kind == "truncate":
        rows = rows[:at]
        expected = {"truncated"}
    elif kind == "repeat":
        rows.insert(at, rows[max(0, at - 1)])
        expected = {"order", "missing"}
        at = max(1, at)
    else:
        rows = list(
            enumerate([*(entry for _, entry in rows[:at]), b"new", *(entry for _, entry in rows[at:])])
        )
    report = log.check(rows, tiles)
    assert report.first is not None
    assert report.first.index == at
    assert report.first.kind in expected
    assert str(at) in report.first.message


@settings(deadline=None, max_examples=40)
@given(st.data(), st.sampled_from([300, 600, 66_000]))
def test_tampered_tiles_are_named(data, size):
    log = LOGS[size]
    path = data.draw(st.sampled_from(sorted(log.tiles)))
    how = data.draw(st.sampled_from(["flip", "drop", "cut", "swap"]))
    tiles = dict(log.tiles)
    if how == "flip":
        bit = data.draw(st.integers(0, len(tiles[path]) * 8 - 1))
        changed = bytearray(tiles[path])
        changed[bit // 8] ^= 1 << bit % 8
        tiles[path] = bytes(changed)
    elif how == "drop":
        del tiles[path]
    elif how == "cut":
        tiles[path] = tiles[path][:-1]
    else:
        other = data.draw(st.sampled_from([name for name in log.tiles if name != path]))
        tiles[path], tiles[other] = tiles[other], tiles[path]
    report = log.check(tiles=tiles)
    assert not report.ok
    assert all(finding.kind in {"tile", "entry"} for finding in report.findings)
    assert any(path in finding.message for finding in report.findings)
    assert report.root == log.growth.root


LOGS = {size: Log(size) for size in (300, 600, 66_000)}


def test_entry_and_leaf_tile_altered_together():
    log = Log(600)
    forged = Log(600, [*log.entries[:299], b"forged", *log.entries[300:]])
    tiles = log.tiles | {"tile/0/001": forged.tiles["tile/0/001"]}
    report = log.check(forged.rows(), tiles)
    assert report.first.kind == "tile"
    assert report.first.index == 256
    assert "tile/1/000" in report.first.message
    assert any(finding.kind == "root" for finding in report.findings)


def test_entries_and_all_tiles_altered_under_the_old_checkpoint():
    log = Log(600)
    forged = Log(600, [*log.entries[:299], b"forged", *log.entries[300:]])
    report = log.check(forged.rows(), forged.tiles, earlier=[log.checkpoint(200)])
    assert (report.first.kind, report.first.index) == ("root", 200)
    assert "entries 200 to 599" in report.first.message
    held = log.check(forged.rows(), forged.tiles, receipts=[log.receipt(299)])
    assert [(finding.kind, finding.index) for finding in held.findings][-1] == ("root", 299)
    assert any((finding.kind, finding.index) == ("receipt", 299) for finding in held.findings)


def test_everything_rewritten_and_signed_again_is_a_fork():
    log = Log(600)
    forged = Log(600, [*log.entries[:299], b"forged", *log.entries[300:]])
    assert forged.check().ok
    report = forged.check(earlier=[log.checkpoint(at) for at in (100, 290, 400, 600)])
    assert (report.first.kind, report.first.index) == ("fork", 290)
    assert "entries 290 to 399" in report.first.message
    held = forged.check(receipts=[log.receipt(299)])
    assert {finding.kind for finding in held.findings} == {"receipt", "fork"}


def test_an_old_checkpoint_put_back():
    log = Log(600)
    report = log.check(note=log.checkpoint(500), tiles=Log(500).tiles, earlier=[log.note])
    assert (report.first.kind, report.first.index) == ("rollback", 500)
    assert "once showed 600 entries and now shows 500" in report.first.message


def test_checkpoints_that_cannot_be_used():
    log = Log(10)
    stranger = Checkpoint(LOG.name, 10, log.growth.root).sign(SignerKey.generate(LOG.name))
    assert log.check(note=stranger).first.kind == "checkpoint"
    assert log.check(note="").first.index is None
    assert log.check(earlier=[stranger]).first.kind == "checkpoint"
    assert log.check(receipts=[Receipt("id", 3, leaf_hash(b""), log.note, ())]).first.kind == "receipt"
    assert log.check(origin="other.example").first.kind == "checkpoint"
    assert log.check(quorum=1).first.kind == "checkpoint"
    witness = SignerKey.generate("witness", KeyType.COSIGNATURE_V1)
    seen = cosign_note(log.note, witness, 1)
    assert log.check(note=seen, witnesses=[witness.verifier], quorum=1).ok


def test_a_checkpoint_of_another_root():
    log = Log(10)
    report = log.check(note=Checkpoint(LOG.name, 10, leaf_hash(b"")).sign(LOG))
    assert [(finding.kind, finding.index) for finding in report.findings] == [("root", 0)]


def test_two_receipts_for_one_place():
    log, other = Log(10), Log(10, [b"other"] * 10)
    kinds = [finding.kind for finding in log.check(receipts=[log.receipt(3), other.receipt(3)]).findings]
    assert kinds.count("fork") == 2


def test_findings_are_bounded():
    report = LOGS[66_000].check(tiles={})
    assert len(report.findings) == 20
    assert report.first.message == "Tile tile/0/000 is missing."


def bundles(log):
    return {
        bundle.path: encode_bundle(log.entries[bundle.index * 256 : bundle.index * 256 + bundle.width])
        for bundle in changed_bundles(0, len(log.entries))
    }


def test_a_static_log_is_read_from_its_bundles():
    log = Log(600)
    static = log.tiles | bundles(log)
    assert log.check(entries_from_bundles(static, 600), static).ok
    assert list(entries_from_bundles(bundles(log) | bundles(Log(768)), 600)) == log.rows()
    del static["tile/entries/001"]
    assert log.check(entries_from_bundles(static, 600), static).first.index == 256


def test_a_damaged_bundle_is_a_finding():
    log = Log(600)
    static = log.tiles | bundles(log)
    static[tile_path(None, 1)] = static[tile_path(None, 1)][:-1]
    report = log.check(entries_from_bundles(static, 600), static)
    assert (report.first.kind, report.first.index) == ("bundle", 256)
    assert "tile/entries/001" in report.first.message
    with pytest.raises(TileError, match="1 entries, not 88"):
        list(entries_from_bundles({"tile/entries/000.p/88": encode_bundle([b""])}, 88))
