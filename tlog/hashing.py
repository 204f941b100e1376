"""Merkle tree hashing of RFC 6962 section 2.1 (the same in RFC 9162 section 2.1.1), SHA-256.

Rules
-----
1. A leaf is ``SHA-256(0x00 || entry)``; an inner node is ``SHA-256(0x01 || left || right)``. The two
   prefixes keep an entry from passing for a node.
2. The root of the empty tree is ``SHA-256("")``.
3. A tree of n > 1 leaves splits at the largest power of two below n: the left part is always complete.
4. The complete subtrees of a tree, left to right, are its *peaks*; folding them from the right gives the
   root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The 32-byte leaf hash of one log entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of an inner node over its two 32-byte children."""
    return sha256(b"\x01" + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """The root over 2**k neighbouring hashes (k >= 0) of one tree level.

    Raises:
        ValueError: the number of hashes is not a power of two.
    """
    count = len(hashes)
    if count == 0 or count & (count - 1):
        raise ValueError(f"a complete subtree has a power of two of hashes, not {count}")
    row = list(hashes)
    while len(row) > 1:
        row = [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row), 2)]
    return row[0]


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """The root over the peaks of a tree, given left (tallest) to right; ``EMPTY_ROOT`` for none."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = sha256(b"\x01" + peak + root).digest()
    return root


def root_from_leaves(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in order, in one pass and memory of log n.

    Example:
        >>> root_from_leaves([]) == EMPTY_ROOT
        True
    """
    peaks: list[bytes] = []
    for position, leaf in enumerate(leaves):
        node, rest = leaf, position
        while rest & 1:
            node = sha256(b"\x01" + peaks.pop() + node).digest()
            rest >>= 1
        peaks.append(node)
    return fold_peaks(peaks)
