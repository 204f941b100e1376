"""Reference vectors: the eight leaves and their roots that Certificate Transparency implementations share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.hashing import EMPTY_ROOT, complete_root, fold_peaks, leaf_hash, node_hash, root_from_leaves

LEAVES = [
    bytes.fromhex(text)
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
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves):
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


@pytest.mark.req("R-AUD-1")
@pytest.mark.parametrize("size", range(9))
def test_reference_roots(size):
    assert root_from_leaves([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size]


def test_no_peaks_fold_to_the_empty_root():
    assert fold_peaks([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == ROOTS[0]


@given(st.integers(0, 600))
def test_one_pass_equals_the_recursive_definition(size):
    leaves = [leaf_hash(b"%d" % index) for index in range(size)]
    assert root_from_leaves(leaves) == naive_root(leaves)


@pytest.mark.parametrize("count", [0, 3, 255])
def test_complete_root_takes_powers_of_two_only(count):
    with pytest.raises(ValueError, match="power of two"):
        complete_root([EMPTY_ROOT] * count)


@given(st.integers(0, 8))
def test_complete_root(height):
    leaves = [leaf_hash(b"%d" % index) for index in range(1 << height)]
    assert complete_root(leaves) == naive_root(leaves)
