"""Proofs are refused for every bit that differs; reference proofs of Certificate Transparency are taken."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlog.hashing import EMPTY_ROOT, leaf_hash, root_from_leaves
from tlog.proofs import ProofError, verify_consistency, verify_inclusion
from tlog.prover import consistency_proof, inclusion_proof
from tlog.tree import Appender

pytestmark = pytest.mark.req("R-AUD-1")
LEAVES = [leaf_hash(b"%d" % index) for index in range(300)]
REFERENCE = [
    leaf_hash(bytes.fromhex(text))
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]


def root(size):
    return root_from_leaves(LEAVES[:size])


def prove(function, first, size):
    tiles = {(tile.coord.level, tile.coord.index): tile.data for tile in Appender().grow(LEAVES[:size]).tiles}

    class Store:
        async def read(self, level, index, width):
            return tiles[level, index][: width * 32]

    return asyncio.run(function(first, size, Store()))


def flipped(value, bit):
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_the_empty_tree_holds_nothing():
    with pytest.raises(ProofError, match="index 0 is not within a tree of 0"):
        verify_inclusion(LEAVES[0], 0, 0, [], EMPTY_ROOT)


def test_anything_extends_the_empty_tree():
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    verify_consistency(0, EMPTY_ROOT, 5, root(5), [])
    with pytest.raises(ProofError, match="the empty tree has root"):
        verify_consistency(0, root(1), 5, root(5), [])
    with pytest.raises(ProofError, match="must be empty"):
        verify_consistency(0, EMPTY_ROOT, 5, root(5), [root(1)])


@pytest.mark.parametrize(
    ("index", "proof"),
    [
        (
            0,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ],
)
def test_reference_inclusion_proofs(index, proof):
    path = [bytes.fromhex(value) for value in proof]
    verify_inclusion(REFERENCE[index], index, 8, path, root_from_leaves(REFERENCE))


@pytest.mark.parametrize(
    ("old", "new", "proof"),
    [
        (
            2,
            8,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_reference_consistency_proofs(old, new, proof):
    path = [bytes.fromhex(value) for value in proof]
    verify_consistency(old, root_from_leaves(REFERENCE[:old]), new, root_from_leaves(REFERENCE[:new]), path)


@settings(deadline=None, max_examples=100)
@given(st.data(), st.integers(1, 300))
def test_any_flipped_bit_of_an_inclusion_proof_is_refused(data, size):
    index = data.draw(st.integers(0, size - 1))
    parts = [LEAVES[index], root(size), *prove(inclusion_proof, index, size)]
    which, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[which] = flipped(parts[which], bit)
    with pytest.raises(ProofError, match="leads to"):
        verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@settings(deadline=None, max_examples=100)
@given(st.data(), st.integers(2, 300))
def test_any_flipped_bit_of_a_consistency_proof_is_refused(data, size):
    old = data.draw(st.integers(1, size - 1))
    parts = [root(old), root(size), *prove(consistency_proof, old, size)]
    which, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[which] = flipped(parts[which], bit)
    with pytest.raises(ProofError, match="gives"):
        verify_consistency(old, parts[0], size, parts[1], parts[2:])


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 300))
def test_another_place_or_length_is_refused(data, size):
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index) if size > 1 else st.just(1))
    proof = prove(inclusion_proof, index, size)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], other, size, proof, root(size))
    with pytest.raises(ProofError, match="too many"):
        verify_inclusion(LEAVES[index], index, size, [*proof, LEAVES[0]], root(size))
    if proof:
        with pytest.raises(ProofError, match="too few"):
            verify_inclusion(LEAVES[index], index, size, proof[:-1], root(size))


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(3, 300))
def test_a_consistency_proof_of_another_length_is_refused(data, size):
    old = data.draw(st.integers(1, size - 1))
    proof = prove(consistency_proof, old, size)
    with pytest.raises(ProofError, match="too many"):
        verify_consistency(old, root(old), size, root(size), [*proof, LEAVES[0]])
    with pytest.raises(ProofError, match=r"too few|is empty"):
        verify_consistency(old, root(old), size, root(size), proof[:-1])


def test_forms_that_are_refused():
    with pytest.raises(ProofError, match="32 bytes, not 31"):
        verify_inclusion(LEAVES[0][:31], 0, 1, [], root(1))
    with pytest.raises(ProofError, match="only grows"):
        verify_consistency(3, root(3), 2, root(2), [])
    with pytest.raises(ProofError, match="forked"):
        verify_consistency(3, root(3), 3, root(2), [])
    with pytest.raises(ProofError, match="is empty"):
        verify_consistency(2, root(2), 3, root(3), [])
