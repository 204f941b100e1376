"""Checking a public log from outside, without a port of one's own: fetch, prove, remember."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.error import URLError
from urllib.request import urlopen

from clients.witness.state import WitnessState
from tlog.checkpoint import Checkpoint
from tlog.hashing import HASH_SIZE
from tlog.note import VerifierKey
from tlog.proofs import ProofError
from tlog.prover import Prover
from tlog.tiles import TileError, tile_path
from tlog.witness import AddCheckpoint, WitnessError, check, opened

_TIMEOUT_S = 20
_MOST_BYTES = 1 << 20


class PullError(Exception):
    """The log cannot be fetched, or contradicts what was seen before."""


class HttpTiles:
    """A ``tlog.tiles.TileReader`` over a public log."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def fetch(self, path: str) -> bytes:
        """Return a file of the log.

        Raises:
            PullError: it cannot be fetched.
        """
        address = f"{self._url}/{path}"
        if not address.startswith(("https://", "http://")):
            raise PullError(f"{self._url} is no address of a log: give https://...")
        try:
            with urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked above
                data: bytes = answer.read(_MOST_BYTES + 1)
        except (URLError, OSError, ValueError) as error:
            raise PullError(f"{address} cannot be fetched ({error}): look whether the log is up") from error
        if len(data) > _MOST_BYTES:
            raise PullError(f"{address} is larger than any file of a log")
        return data

    async def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first ``width`` hashes of a tile."""
        data = await asyncio.to_thread(self.fetch, tile_path(level, index, width))
        return data[: width * HASH_SIZE]


def pull(url: str, logs: Sequence[VerifierKey], state: WitnessState) -> tuple[int, Checkpoint]:
    """Check a public log against what is remembered, and remember what it shows now.

    Returns:
        The size seen before (0 at the first time) and the checkpoint now.

    Raises:
        PullError: it cannot be fetched, is not signed by a known key, or contradicts what was seen before.
    """
    tiles = HttpTiles(url)
    note = tiles.fetch("checkpoint").decode(errors="replace")
    try:
        claimed = opened(note, logs)
        last = state.last(claimed.origin)
        old = last.size if last else 0
        proof: Sequence[bytes] = ()
        if 0 < old < claimed.size:
            proof = asyncio.run(Prover(claimed.size, tiles).consistency(old))
        checkpoint = check(AddCheckpoint(min(old, claimed.size), tuple(proof), note), logs, last)
    except (WitnessError, TileError, ProofError) as error:
        if isinstance(error, WitnessError) and error.evidence:
            state.keep_evidence(claimed.origin, note)
        raise PullError(f"NOT CONSISTENT: {error}") from error
    state.remember(checkpoint.origin, note)
    return old, checkpoint
