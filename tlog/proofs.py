"""Checking of inclusion and consistency proofs: RFC 9162 sections 2.1.3.2 and 2.1.4.2 (those of RFC 6962).

Rules
-----
1. A proof is accepted only when it has exactly the number of hashes that its sizes call for.
2. Every refusal is a :class:`ProofError` that says which part failed: form first, then the root.
3. Any tree extends the empty one, by an empty proof; equal sizes need equal roots and an empty proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hmac import compare_digest

from tlog.hashing import EMPTY_ROOT, HASH_SIZE, node_hash


class ProofError(ValueError):
    """A proof does not prove what it is presented for; the message says why."""


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf stands at ``index`` in the tree of ``size`` leaves with this root.

    Args:
        leaf_hash: 32 bytes.
        index: from 0.
        size: leaves in the tree, above ``index``.
        proof: sibling hashes from the leaf upwards, 32 bytes each.
        root: 32 bytes.

    Raises:
        ProofError: the proof does not hold.
    """
    if not 0 <= index < size:
        raise ProofError(f"index {index} is not within a tree of {size} entries")
    _check_hashes([leaf_hash, root, *proof])
    node = leaf_hash
    for sibling, left in _climb(index, size - 1, proof, f"inclusion proof of entry {index} of {size}"):
        node = node_hash(sibling, node) if left else node_hash(node, sibling)
    if not compare_digest(node, root):
        raise ProofError(f"the inclusion proof of entry {index} leads to {node.hex()}, not to {root.hex()}")


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of ``new_size`` begins with the very tree of ``old_size``.

    Raises:
        ProofError: it does not, or the proof does not show it.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a log only grows: {new_size} entries cannot follow {old_size}")
    _check_hashes([old_root, new_root, *proof])
    if old_size in (0, new_size):
        _check_trivial(old_size, old_root, new_size, new_root, proof)
        return
    if not proof:
        raise ProofError(f"the consistency proof from {old_size} to {new_size} is empty")
    # A complete old tree is itself the first node of the proof and is left out of it.
    hashes = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    here, last = old_size - 1, new_size - 1
    while here & 1:
        here >>= 1
        last >>= 1
    old = new = hashes[0]
    for sibling, left in _climb(here, last, hashes[1:], f"consistency proof from {old_size} to {new_size}"):
        if left:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if not compare_digest(old, old_root):
        raise ProofError(
            f"the consistency proof gives {old_size} entries root {old.hex()}, not {old_root.hex()}"
        )
    if not compare_digest(new, new_root):
        raise ProofError(
            f"the consistency proof gives {new_size} entries root {new.hex()}, not {new_root.hex()}"
        )


def _climb(here: int, last: int, proof: Sequence[bytes], what: str) -> Iterator[tuple[bytes, bool]]:
    """Each sibling up to the root of a tree whose last node is ``last``, and whether it is on the left."""
    for sibling in proof:
        if last == 0:
            raise ProofError(f"the {what} has too many hashes")
        left = bool(here & 1) or here == last
        yield sibling, left
        while left and here and not here & 1:
            here >>= 1
            last >>= 1
        here >>= 1
        last >>= 1
    if last:
        raise ProofError(f"the {what} has too few hashes")


def _check_hashes(hashes: Sequence[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE:
            raise ProofError(f"a hash has {HASH_SIZE} bytes, not {len(value)}")


def _check_trivial(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    if proof:
        raise ProofError(
            f"the consistency proof from {old_size} to {new_size} must be empty, not {len(proof)} hashes"
        )
    if old_size == 0 and not compare_digest(old_root, EMPTY_ROOT):
        raise ProofError(f"the empty tree has root {EMPTY_ROOT.hex()}, not {old_root.hex()}")
    if old_size == new_size and not compare_digest(old_root, new_root):
        raise ProofError(
            f"two roots for one size {new_size}: {old_root.hex()} and {new_root.hex()}: the log forked"
        )
