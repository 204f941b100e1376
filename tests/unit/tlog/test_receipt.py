import asyncio
import json
from dataclasses import replace

import pytest

from tlog.checkpoint import Checkpoint
from tlog.hashing import leaf_hash
from tlog.note import KeyType, SignerKey, cosign_note
from tlog.prover import inclusion_proof
from tlog.receipt import Receipt, ReceiptError
from tlog.tree import Appender

pytestmark = pytest.mark.req("R-AUD-1")
LOG = SignerKey.generate("log.example/plates")
ENTRIES = [b"entry %d" % index for index in range(300)]
GROWTH = Appender().grow(leaf_hash(entry) for entry in ENTRIES)
NOTE = Checkpoint(LOG.name, 300, GROWTH.root).sign(LOG)


class Store:
    def __init__(self):
        self.tiles = {(tile.coord.level, tile.coord.index): tile.data for tile in GROWTH.tiles}

    async def read(self, level, index, width):
        return self.tiles[level, index][: width * 32]


def receipt(index):
    proof = asyncio.run(inclusion_proof(index, 300, Store()))
    return Receipt(f"id-{index}", index, leaf_hash(ENTRIES[index]), NOTE, tuple(proof))


def test_the_receipt_of_a_log_with_one_entry_needs_no_proof():
    note = Checkpoint(LOG.name, 1, leaf_hash(b"only")).sign(LOG)
    Receipt("id", 0, leaf_hash(b"only"), note, ()).verify([LOG.verifier], entry=b"only")


@pytest.mark.parametrize("index", [0, 255, 256, 299])
def test_a_receipt_survives_json_and_verifies_offline(index):
    given = receipt(index)
    kept = Receipt.from_json(given.to_json())
    assert kept == given
    assert kept.verify([LOG.verifier], entry=ENTRIES[index]).checkpoint.size == 300
    kept.verify([LOG.verifier], leaf=leaf_hash(ENTRIES[index]), origin=LOG.name)


def test_refused_with_the_reason():
    good = receipt(5)
    with pytest.raises(ReceiptError, match="entry 5 is for another entry"):
        good.verify([LOG.verifier], entry=ENTRIES[6])
    with pytest.raises(ReceiptError, match="another leaf hash"):
        good.verify([LOG.verifier], leaf=leaf_hash(b""))
    with pytest.raises(ReceiptError, match="too few"):
        replace(good, inclusion=()).verify([LOG.verifier])
    with pytest.raises(ReceiptError, match="leads to"):
        replace(good, index=4).verify([LOG.verifier])
    with pytest.raises(ReceiptError, match="not within"):
        replace(good, index=300).verify([LOG.verifier])
    with pytest.raises(ReceiptError, match="no trusted key"):
        good.verify([SignerKey.generate("log.example/plates").verifier])
    with pytest.raises(ReceiptError, match="0 of the trusted witnesses"):
        good.verify([LOG.verifier], quorum=1)
    with pytest.raises(ReceiptError, match="of log"):
        good.verify([LOG.verifier], origin="other")


def test_a_witnessed_receipt():
    witness = SignerKey.generate("witness.example", KeyType.COSIGNATURE_V1)
    seen = replace(receipt(5), checkpoint_note=cosign_note(NOTE, witness, 9))
    opened = seen.verify([LOG.verifier], witnesses=[witness.verifier], quorum=1)
    assert opened.witnesses == (("witness.example", 9),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extra": 1}, "exactly the fields"),
        ({"index": "5"}, "index of the receipt is not of type int"),
        ({"index": True}, "not of type int"),
        ({"inclusion": {}}, "not of type list"),
        ({"leaf_hash": "zz"}, "not hex"),
        ({"leaf_hash": "00"}, "64 lower-case hex"),
        ({"leaf_hash": "AB" * 32}, "64 lower-case hex"),
        ({"inclusion": [5]}, "not hex"),
    ],
)
def test_malformed_json_is_refused(change, reason):
    with pytest.raises(ReceiptError, match=reason):
        Receipt.from_json(json.dumps(json.loads(receipt(5).to_json()) | change))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, b"\xff"])
def test_what_is_no_receipt(text):
    with pytest.raises(ReceiptError):
        Receipt.from_json(text)
