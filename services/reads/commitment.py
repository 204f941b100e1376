"""Commitments over what was destroyed: an RFC 6962 Merkle tree over names, grown part by part.

A name is a read's ID, or ``<ID>-plate`` / ``<ID>-vehicle`` of a crop, as text. What is kept between the parts of a purge are
the complete subtrees only (``tlog/hashing.py``), so that a purge that is resumed ends at the same root.
"""

from __future__ import annotations

from hashlib import sha256

from tlog.hashing import HASH_SIZE, fold_peaks


class Commitment:
    """A growing tree: how many names, and its complete subtrees left to right."""

    def __init__(self, count: int = 0, peaks: bytes = b"") -> None:
        self.count = count
        self._peaks = [peaks[at : at + HASH_SIZE] for at in range(0, len(peaks), HASH_SIZE)]

    def extend(self, leaves: bytes) -> None:
        """Append leaf hashes, joined, 32 bytes each."""
        for at in range(0, len(leaves), HASH_SIZE):
            node, rest = leaves[at : at + HASH_SIZE], self.count
            while rest & 1:
                node = sha256(b"\x01" + self._peaks.pop() + node).digest()
                rest >>= 1
            self._peaks.append(node)
            self.count += 1

    @property
    def peaks(self) -> bytes:
        """The complete subtrees, joined; what a resumed purge goes on from."""
        return b"".join(self._peaks)

    @property
    def root(self) -> bytes:
        """The 32-byte root of the tree as it is."""
        return fold_peaks(self._peaks)
