"""What a client demands of the log: receipts that hold, growth that is proven; a contradiction is not forgotten."""

from __future__ import annotations

import asyncio

import pytest

from plateward.common.v1 import receipt_pb2
from servicekit.errors import PlatewardError
from servicekit.log_watch import LogWatch
from tests.unit.tlog.trees import LEAVES, stored
from tlog.checkpoint import Checkpoint
from tlog.hashing import root_from_leaves
from tlog.note import SignerKey
from tlog.prover import consistency_proof, inclusion_proof

pytestmark = pytest.mark.req("R-AUD-1")
KEY = SignerKey.generate("log.example/audit")


def receipt(index, size, leaves=LEAVES, key=KEY):
    proof = (
        asyncio.run(inclusion_proof(index, size, stored(size)[0]))
        if leaves is LEAVES
        else _proof(index, leaves[:size])
    )
    note = Checkpoint("log.example/audit", size, root_from_leaves(leaves[:size])).sign(key)
    return receipt_pb2.Receipt(
        event_id="e", index=index, leaf_hash=leaves[index], checkpoint=note, inclusion_proof=proof
    )


def _proof(index, leaves):
    from tlog.tree import Appender

    class Tiles:
        async def read(self, level, at, width):
            return next(t.data for t in growth.tiles if (t.coord.level, t.coord.index) == (level, at))[
                : width * 32
            ]

    growth = Appender().grow(leaves)
    return asyncio.run(inclusion_proof(index, len(leaves), Tiles()))


def watch(every_s=0.0):
    asked = []

    async def prove(old, new):
        asked.append((old, new))
        return await consistency_proof(old, new, stored(new)[0])

    return LogWatch([KEY.verifier], prove, every_s), asked


def demand(watcher, *receipts):
    async def all_of():
        for one in receipts:
            await watcher.demand(one)

    asyncio.run(all_of())


def test_a_log_that_grows_is_believed_and_asked_for_proofs():
    watcher, asked = watch()
    demand(watcher, receipt(3, 5), receipt(5, 6), receipt(290, 300), receipt(4, 6))
    assert asked == [(5, 6), (6, 300), (6, 300)]


def test_proofs_are_asked_for_now_and_then_only():
    watcher, asked = watch(every_s=100)
    demand(watcher, *(receipt(n - 1, n) for n in range(1, 40)))
    assert asked == []


@pytest.mark.parametrize("change", ["index", "leaf", "key", "note"])
def test_a_receipt_that_does_not_hold_is_refused(change):
    watcher, _ = watch()
    bad = receipt(3, 5, key=SignerKey.generate("log.example/audit") if change == "key" else KEY)
    if change == "index":
        bad.index = 2
    if change == "leaf":
        bad.leaf_hash = LEAVES[9]
    if change == "note":
        bad.checkpoint = bad.checkpoint.replace("\n5\n", "\n6\n")
    with pytest.raises(PlatewardError, match="does not hold"):
        demand(watcher, bad)


def test_another_history_is_refused_and_nothing_is_believed_again():
    forked = [LEAVES[77], *LEAVES[1:400]]
    for size in (5, 8):
        watcher, _ = watch()
        demand(watcher, receipt(3, 5))
        with pytest.raises(PlatewardError, match="does not begin with"):
            demand(watcher, receipt(3, size, forked))
        with pytest.raises(PlatewardError, match="does not begin with"):
            demand(watcher, receipt(5, 6))
