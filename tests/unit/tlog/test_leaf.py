"""The leaf binds every stored column, and only its own."""

from __future__ import annotations

import dataclasses
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.leaf import Leaf, LeafError, Row, commitment

pytestmark = pytest.mark.req("R-AUD-1")
ID = "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa"
ROW = Row(1_764_000_000_000_000, 3, 2, "OK", b"d" * 32, (b"a" * 16, b"b" * 16), b"sealed payload")
LEAF = Leaf(ID, commitment(b"s" * 32, b"event"), ROW.hash(), sha256(b"wrapped").digest())
OTHER = {
    "occurred_us": ROW.occurred_us + 1, "action": 4, "phase": 1, "status": "PERMISSION_DENIED", "digest": b"e" * 32,
    "terms": (b"a" * 16,), "sealed": b"sealed payloae",
}  # fmt: skip


@pytest.mark.parametrize("seals", [None, 0, 1042])
def test_a_leaf_reads_back(seals):
    leaf = dataclasses.replace(LEAF, seals=seals)
    assert Leaf.parse(leaf.encode()) == leaf
    leaf.check(ID, ROW, b"wrapped")
    leaf.check(ID, ROW, None)


@pytest.mark.parametrize("field", OTHER)
def test_no_column_can_change(field):
    with pytest.raises(LeafError, match="commits to"):
        LEAF.check(ID, dataclasses.replace(ROW, **{field: OTHER[field]}), b"wrapped")


def test_neither_key_nor_id_can_change():
    with pytest.raises(LeafError, match="key"):
        LEAF.check(ID, ROW, b"another")
    with pytest.raises(LeafError, match="event ID"):
        LEAF.check(ID.replace("a", "b"), ROW, b"wrapped")


def test_moving_bytes_between_columns_changes_the_hash():
    one = dataclasses.replace(ROW, status="OKx", digest=b"y")
    two = dataclasses.replace(ROW, status="OK", digest=b"xy")
    assert one.hash() != two.hash()


@given(st.binary(max_size=400))
def test_whatever_is_no_leaf_is_refused(data):
    with pytest.raises(LeafError):
        Leaf.parse(data)


@given(st.integers(0, len(LEAF.encode()) - 1), st.integers(1, 255))
def test_a_changed_leaf_is_refused_or_another_leaf(at, change):
    data = bytearray(LEAF.encode())
    data[at] ^= change
    try:
        parsed = Leaf.parse(bytes(data))
    except LeafError:
        return
    assert parsed != LEAF
    assert parsed.encode() == bytes(data)
