"""The witness cosigns what extends what it saw, and nothing else."""

import asyncio

import pytest

from tests.unit.tlog.trees import LEAVES, stored
from tlog.checkpoint import Checkpoint, open_checkpoint
from tlog.hashing import root_from_leaves
from tlog.note import KeyType, SignerKey
from tlog.prover import consistency_proof
from tlog.witness import AddCheckpoint, Refusal, WitnessError, check, cosignature

pytestmark = pytest.mark.req("R-AUD-1")
LOG = SignerKey.generate("log.example/audit")
STRANGER = SignerKey.generate("log.example/audit")
WITNESS = SignerKey.generate("witness.example", KeyType.COSIGNATURE_V1)
KEYS = [LOG.verifier]


def checkpoint(size, leaves=LEAVES):
    return Checkpoint("log.example/audit", size, root_from_leaves(leaves[:size]))


def request(old, size, *, key=LOG, leaves=LEAVES, proof=None):
    if proof is None:
        proof = asyncio.run(consistency_proof(old, size, stored(size)[0]))
    return AddCheckpoint(old, tuple(proof), checkpoint(size, leaves).sign(key))


def refused(asked, last):
    with pytest.raises(WitnessError) as caught:
        check(asked, KEYS, last)
    return caught.value


@pytest.mark.parametrize(("old", "size"), [(0, 1), (0, 300), (1, 2), (255, 256), (256, 257), (300, 70_000)])
def test_a_log_that_grows_is_cosigned(old, size):
    asked = request(old, size)
    assert AddCheckpoint.parse(asked.encode()) == asked
    assert check(asked, KEYS, checkpoint(old) if old else None) == checkpoint(size)
    line = cosignature(asked.note, WITNESS, 1_764_000_000)
    opened = open_checkpoint(asked.note + line, KEYS, witnesses=[WITNESS.verifier], quorum=1)
    assert opened.witnesses == (("witness.example", 1_764_000_000),)


def test_the_same_checkpoint_again_is_cosigned_again():
    assert check(request(300, 300), KEYS, checkpoint(300)) == checkpoint(300)


def test_another_history_of_the_same_size_is_evidence():
    forked = [LEAVES[1], *LEAVES[1:300]]
    error = refused(request(300, 300, leaves=forked, proof=[]), checkpoint(300))
    assert (error.refusal, error.evidence, error.size) == (Refusal.CONFLICT, True, 300)


def test_a_longer_log_that_changed_its_past_is_evidence():
    forked = [LEAVES[1], *LEAVES[1:400]]
    honest = asyncio.run(consistency_proof(300, 400, stored(400)[0]))
    error = refused(request(300, 400, leaves=forked, proof=honest), checkpoint(300))
    assert (error.refusal, error.evidence) == (Refusal.UNPROVEN, True)


def test_an_old_checkpoint_is_a_conflict_that_names_the_size():
    error = refused(request(100, 200), checkpoint(300))
    assert (error.refusal, error.size, error.evidence) == (Refusal.CONFLICT, 300, False)


def test_a_wrong_old_size_is_told_the_right_one():
    assert refused(request(200, 400), checkpoint(300)).size == 300
    assert refused(request(200, 400), None).size == 0


def test_strangers_are_refused():
    assert refused(request(0, 5, key=STRANGER), None).refusal is Refusal.UNTRUSTED
    unknown = SignerKey.generate("other.example/log")
    note = Checkpoint("other.example/log", 5, bytes(32)).sign(unknown)
    assert refused(AddCheckpoint(0, (), note), None).refusal is Refusal.UNKNOWN_LOG


def test_a_proof_where_nothing_is_to_prove_is_malformed():
    assert refused(request(0, 5, proof=[bytes(32)]), None).refusal is Refusal.MALFORMED
    assert refused(request(6, 5, proof=[]), checkpoint(6)).refusal is Refusal.MALFORMED


@pytest.mark.parametrize(
    "body",
    [b"", b"old 1", b"old 01\n\nx", b"old -1\n\nx", b"old 1\nAAAA\n\nx", b"old 1\n!\n\nx", b"\xff\n\n",
     b"old 1\n" + b"A" * 43 + b"=\n" * 1 + b"\n", b"old 0\n\nno note", b"old 1\n" + (b"A" * 43 + b"=\n") * 64 + b"\nx"],
)  # fmt: skip
def test_malformed_requests_are_refused(body):
    with pytest.raises(WitnessError) as caught:
        check(AddCheckpoint.parse(body), KEYS, None)
    assert caught.value.refusal is Refusal.MALFORMED
