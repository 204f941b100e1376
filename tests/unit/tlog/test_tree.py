"""Growing and proving against a naive recursive tree."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tlog.trees import LEAVES, Store, stored
from tlog.hashing import EMPTY_ROOT, leaf_hash, node_hash, root_from_leaves
from tlog.proofs import ProofError, verify_consistency, verify_inclusion
from tlog.prover import consistency_proof, inclusion_proof
from tlog.tiles import TileError, changed_tiles
from tlog.tree import Appender

pytestmark = pytest.mark.req("R-AUD-1")


def naive_path(index, leaves):
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return [*naive_path(index, leaves[:split]), root_from_leaves(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), root_from_leaves(leaves[:split])]


def naive_subproof(old, leaves, whole):
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if old == len(leaves):
        return [] if whole else [root_from_leaves(leaves)]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if old <= split:
        return [*naive_subproof(old, leaves[:split], whole), root_from_leaves(leaves[split:])]
    return [*naive_subproof(old - split, leaves[split:], False), root_from_leaves(leaves[:split])]


async def test_the_empty_tree():
    empty = await Appender.load(0, Store())
    assert empty == Appender()
    assert empty.root == EMPTY_ROOT
    growth = empty.grow([])
    assert (growth.size, growth.root, growth.tiles, growth.after) == (0, EMPTY_ROOT, (), empty)
    assert await consistency_proof(0, 0, Store()) == []
    with pytest.raises(ProofError, match="not within"):
        await inclusion_proof(0, 0, Store())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 300) | st.sampled_from([255, 256, 257, 511, 512]), max_size=8))
def test_growing_in_any_batches_gives_one_tree(batches):
    store, tree = Store(), Appender()
    for batch in batches:
        growth = tree.grow(LEAVES[tree.size : tree.size + batch])
        assert [tile.coord for tile in growth.tiles] == list(changed_tiles(tree.size, growth.size))
        store.write(growth.tiles)
        tree = growth.after
        assert growth.root == tree.root == root_from_leaves(LEAVES[: tree.size])
        assert asyncio.run(Appender.load(tree.size, store)) == tree


def test_growing_across_three_levels():
    once = Appender().grow(LEAVES)
    tree, tiles = Appender(), {}
    for size in (65_535, 65_536, 65_537, 70_000):
        growth = tree.grow(LEAVES[tree.size : size])
        tiles |= {(tile.coord.level, tile.coord.index): tile.data for tile in growth.tiles}
        tree = growth.after
    assert tree == once.after
    assert tiles == {(tile.coord.level, tile.coord.index): tile.data for tile in once.tiles}
    assert once.root == root_from_leaves(LEAVES)


def test_growing_changes_nothing_in_place():
    tree = Appender().grow(LEAVES[:300]).after
    before = (tree.size, tree.peaks, tree.edges)
    assert tree.grow(LEAVES[300:900]) == tree.grow(LEAVES[300:900])
    assert (tree.size, tree.peaks, tree.edges) == before


def test_an_append_writes_as_little_whatever_the_size():
    for size in (10, 69_999):
        assert len(Appender().grow(LEAVES[:size]).after.grow([LEAVES[size]]).tiles) == 1


def test_a_leaf_hash_has_32_bytes():
    with pytest.raises(ValueError, match="32 bytes, not 5"):
        Appender().grow([b"short"])


async def test_a_damaged_tile_is_refused():
    store, _ = stored(300)
    store.tiles[0, 1] = store.tiles[0, 1][:-1]
    with pytest.raises(TileError):
        await Appender.load(300, store)
    with pytest.raises(TileError):
        await inclusion_proof(299, 300, store)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 37, 64, 65])
async def test_every_proof_of_small_trees(size):
    store, root = stored(size)
    for index in range(size):
        proof = await inclusion_proof(index, size, store)
        assert proof == naive_path(index, LEAVES[:size])
        verify_inclusion(LEAVES[index], index, size, proof, root)
    for old in range(size + 1):
        proof = await consistency_proof(old, size, store)
        assert proof == (naive_subproof(old, LEAVES[:size], True) if old else [])
        verify_consistency(old, root_from_leaves(LEAVES[:old]), size, root, proof)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 600))
def test_proofs_of_larger_trees(data, size):
    store, root = stored(size)
    index = data.draw(st.integers(0, size - 1))
    proof = asyncio.run(inclusion_proof(index, size, store))
    assert proof == naive_path(index, LEAVES[:size])
    verify_inclusion(LEAVES[index], index, size, proof, root)
    old = data.draw(st.integers(0, size))
    proof = asyncio.run(consistency_proof(old, size, store))
    assert proof == (naive_subproof(old, LEAVES[:size], True) if old else [])
    verify_consistency(old, root_from_leaves(LEAVES[:old]), size, root, proof)


async def test_a_proof_reads_each_tile_once():
    store, root = stored(70_000)
    for index in (0, 65_535, 65_536, 69_999):
        store.reads.clear()
        verify_inclusion(LEAVES[index], index, 70_000, await inclusion_proof(index, 70_000, store), root)
        assert len(store.reads) == len(set(store.reads)) <= 6


async def test_proofs_out_of_range():
    store, _ = stored(3)
    for index in (-1, 3):
        with pytest.raises(ProofError, match="not within a tree of 3"):
            await inclusion_proof(index, 3, store)
    with pytest.raises(ProofError, match="only grows"):
        await consistency_proof(4, 3, store)


def test_leaf_and_node_never_meet():
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])
