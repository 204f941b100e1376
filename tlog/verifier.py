"""Offline check of a whole log: rebuild every tile and root from the entries, and say what is bad first.

Rules
-----
1. Nothing stored is believed: leaf hashes, tiles and roots are rebuilt from the entries and compared.
2. The checkpoint decides: when the rebuilt root is the signed one, the entries are good and a tile that
   differs is bad; when it is not, the entries (or the checkpoint) are.
3. Earlier checkpoints and receipts, kept by clients and witnesses, bind the log: their sizes and roots must
   be those of the rebuilt tree. They catch an operator who rewrites everything and signs again, and narrow
   down where.
4. Findings come in order of the first entry concerned; ``index`` is the first entry that is, or may be,
   bad.
5. Entries beyond the checkpoint are not yet published and are only counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from tlog.hashing import HASH_SIZE, leaf_hash
from tlog.note import VerifierKey
from tlog.receipt import Receipt
from tlog.tiles import TILE_HEIGHT, TILE_WIDTH, TileError, decode_bundle, tile_path
from tlog.tree import Appender

MAX_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: kind, first entry concerned (``None``: the checkpoint itself), a sentence.

    Kinds: ``checkpoint``, ``missing``, ``order``, ``truncated``, ``bundle``, ``entry``, ``tile``, ``root``,
    ``fork``, ``rollback``, ``receipt``.
    """

    kind: str
    index: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked: size and rebuilt root, entries read, entries beyond the checkpoint, findings."""

    size: int
    root: bytes
    entries: int
    pending: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def first(self) -> Finding | None:
        """The finding that concerns the first entry."""
        return self.findings[0] if self.findings else None


def entries_from_bundles(tiles: Mapping[str, bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """The entries of a static log, read from its entry bundles by path; ends where a bundle is missing.

    Raises:
        TileError: a bundle is malformed.
    """
    for index in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        data = tiles.get(tile_path(None, index, width), tiles.get(tile_path(None, index)))
        if data is None:
            return
        try:
            entries = decode_bundle(data)
        except TileError as error:
            raise TileError(f"{tile_path(None, index, width)}: {error}") from error
        if len(entries) not in (width, TILE_WIDTH):
            raise TileError(f"{tile_path(None, index, width)}: {len(entries)} entries, not {width}")
        for offset, entry in enumerate(entries[:width]):
            yield index * TILE_WIDTH + offset, entry


def fsck(
    entries: Iterable[tuple[int, bytes]],
    tiles: Mapping[str, bytes],
    checkpoint_note: str | bytes,
    keys: Iterable[VerifierKey],
    *,
    origin: str | None = None,
    witnesses: Iterable[VerifierKey] = (),
    quorum: int = 0,
    earlier: Iterable[str | bytes] = (),
    receipts: Iterable[Receipt] = (),
) -> Report:
    """Check a whole log; never raises for what the log holds.

    Args:
        entries: (index, entry) as stored, in the order of the store.
        tiles: stored tiles by path (``tile/0/000`` ...).
        checkpoint_note: the signed checkpoint.
        keys: the keys of the log.
        origin: the origin expected; by default the name of the key that signed.
        witnesses: the witnesses that count.
        quorum: how many of them must have cosigned.
        earlier: checkpoints that clients or witnesses kept; one not signed by the log is reported.
        receipts: receipts that clients kept.
    """
    log_keys = tuple(keys)
    try:
        checkpoint = open_checkpoint(
            checkpoint_note, log_keys, origin=origin, witnesses=witnesses, quorum=quorum
        ).checkpoint
    except CheckpointError as error:
        return Report(0, Appender().root, 0, 0, (Finding("checkpoint", None, f"{error}."),))
    check = _Check(checkpoint, tiles)
    check.remember(earlier, log_keys)
    check.hold(receipts, log_keys)
    check.run(entries)
    return check.report()


@dataclass(slots=True)
class _Check:
    checkpoint: Checkpoint
    tiles: Mapping[str, bytes]
    tree: Appender = field(default_factory=Appender)
    findings: list[Finding] = field(default_factory=list)
    differing: list[Finding] = field(default_factory=list)
    known: dict[int, set[bytes]] = field(default_factory=dict)
    leaves: dict[int, bytes] = field(default_factory=dict)
    agreed: int = 0
    pending: int = 0

    def remember(self, notes: Iterable[str | bytes], keys: tuple[VerifierKey, ...]) -> None:
        for note in notes:
            try:
                seen = open_checkpoint(note, keys, origin=self.checkpoint.origin).checkpoint
            except CheckpointError as error:
                self._found("checkpoint", None, f"An earlier checkpoint cannot be used: {error}.")
                continue
            self._bind(seen)

    def hold(self, receipts: Iterable[Receipt], keys: tuple[VerifierKey, ...]) -> None:
        for receipt in receipts:
            try:
                opened = receipt.verify(keys, origin=self.checkpoint.origin)
            except ValueError as error:
                self._found("receipt", receipt.index, f"A receipt cannot be used: {error}.")
                continue
            self._bind(opened.checkpoint)
            if self.leaves.setdefault(receipt.index, receipt.leaf_hash) != receipt.leaf_hash:
                self._found(
                    "fork", receipt.index, f"Two valid receipts name different entries {receipt.index}."
                )

    def run(self, entries: Iterable[tuple[int, bytes]]) -> None:
        size = self.checkpoint.size
        stops = sorted({at for at in self.known if at <= size} | {size})
        source = self._leaves_in_order(iter(entries))
        self._check_known()
        for stop in stops:
            while self.tree.size < stop:
                step = min(TILE_WIDTH - self.tree.size % TILE_WIDTH, stop - self.tree.size)
                batch = list(islice(source, step))
                self._grow(batch)
                if len(batch) < step:
                    # Where the entries break off, only the leaves can still be compared.
                    self._compare_edges(self.tree.edges[:1])
                    return
            self._check_known()
        self._compare_edges(self.tree.edges)
        self.pending = sum(1 for _ in source)

    def report(self) -> Report:
        size = self.checkpoint.size
        whole = self.tree.size == size
        if whole and self.tree.root == self.checkpoint.root:
            self.findings += self.differing
        else:
            # Once an entry is bad, the tiles above it differ as a consequence: only the leaves tell where.
            leaves = [finding for finding in self.differing if finding.kind == "entry"]
            self.findings += leaves[:1] or self.differing[:1]
            self._locate(leaves[:1])
            if whole:
                self._found(
                    "root",
                    min((f.index for f in self.findings if f.index is not None), default=self.agreed),
                    f"The entries do not give the signed root: one of entries {self.agreed} to {size - 1} "
                    "was altered, or the checkpoint is of another log.",
                )
        rank = {"checkpoint": 0, "rollback": 1, "entry": 2, "root": 9}
        self.findings.sort(
            key=lambda finding: (-1 if finding.index is None else finding.index, rank.get(finding.kind, 5))
        )
        return Report(size, self.tree.root, self.tree.size, self.pending, tuple(self.findings[:MAX_FINDINGS]))

    def _locate(self, leaves: list[Finding]) -> None:
        """Let a fork name the entry itself, where a tile from before tells which of the span it is."""
        for at, finding in enumerate(self.findings):
            for leaf in leaves:
                if finding.kind == "fork" and finding.index is not None and finding.index < (leaf.index or 0):
                    self.findings[at] = replace(finding, index=leaf.index)

    def _bind(self, seen: Checkpoint) -> None:
        if (seen.size, seen.root) == (self.checkpoint.size, self.checkpoint.root):
            return
        roots = self.known.setdefault(seen.size, set())
        if seen.size > self.checkpoint.size and not roots:
            self._found(
                "rollback",
                self.checkpoint.size,
                f"The log once showed {seen.size} entries and now shows {self.checkpoint.size}: "
                f"entry {self.checkpoint.size} and what follows are gone, or an old checkpoint was put back.",
            )
        roots.add(seen.root)

    def _check_known(self) -> None:
        for root in self.known.pop(self.tree.size, ()):
            if root == self.tree.root:
                self.agreed = self.tree.size
                continue
            if any(finding.kind == "fork" and finding.index == self.agreed for finding in self.findings):
                continue  # Every later checkpoint differs as a consequence.
            self._found(
                "fork",
                self.agreed,
                f"An earlier checkpoint of size {self.tree.size} has another root than the log now gives: "
                f"one of entries {self.agreed} to {self.tree.size - 1} was changed after it was signed.",
            )

    def _leaves_in_order(self, entries: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
        expected = 0
        try:
            for index, entry in entries:
                if index != expected and expected < self.checkpoint.size:
                    self._out_of_order(index, expected)
                    return
                leaf = leaf_hash(entry)
                if self.leaves.get(expected, leaf) != leaf:
                    self._found(
                        "receipt",
                        expected,
                        f"Entry {expected} is not the entry that a receipt was given for.",
                    )
                yield leaf
                expected += 1
        except TileError as error:
            self._found("bundle", expected, f"The entries cannot be read from entry {expected} on: {error}.")
            return
        if expected < self.checkpoint.size:
            self._found(
                "truncated",
                expected,
                f"The entries end at {expected}, but the checkpoint covers {self.checkpoint.size}: "
                f"entry {expected} is missing.",
            )

    def _out_of_order(self, index: int, expected: int) -> None:
        if index > expected:
            self._found(
                "missing", expected, f"Entry {expected} is missing: entry {index} follows {expected - 1}."
            )
        else:
            self._found("order", expected, f"Entry {index} stands where entry {expected} belongs.")

    def _grow(self, batch: list[bytes]) -> None:
        growth = self.tree.grow(batch)
        self.tree = growth.after
        for tile in growth.tiles:
            if tile.coord.width == TILE_WIDTH:
                self._compare(tile.coord.level or 0, tile.coord.index, tile.data)

    def _compare_edges(self, edges: tuple[bytes, ...]) -> None:
        for level, data in enumerate(edges):
            if data:
                self._compare(level, self.tree.size >> (TILE_HEIGHT * (level + 1)), data)

    def _compare(self, level: int, index: int, data: bytes) -> None:
        span = 1 << (TILE_HEIGHT * level)
        start = index * TILE_WIDTH * span
        width = min(TILE_WIDTH, self.checkpoint.size // span - index * TILE_WIDTH)
        path = tile_path(level, index, width)
        stored = self.tiles.get(path)
        if stored is None:
            stored = self.tiles.get(tile_path(level, index), b"")[: width * HASH_SIZE]
        if not stored:
            self._differs("tile", start, f"Tile {path} is missing.")
        elif len(stored) != width * HASH_SIZE:
            self._differs("tile", start, f"Tile {path} has {len(stored)} bytes, not {width * HASH_SIZE}.")
        elif stored[: len(data)] != data:
            at = next(
                at
                for at in range(0, len(data), HASH_SIZE)
                if stored[at : at + HASH_SIZE] != data[at : at + HASH_SIZE]
            )
            first = start + at // HASH_SIZE * span
            if level == 0:
                self._differs(
                    "entry", first, f"Entry {first} does not give the leaf hash that tile {path} holds."
                )
            else:
                self._differs(
                    "tile",
                    first,
                    f"Tile {path} holds another hash than entries {first} to {first + span - 1} give.",
                )

    def _differs(self, kind: str, index: int, message: str) -> None:
        if len(self.differing) < MAX_FINDINGS and Finding(kind, index, message) not in self.differing:
            self.differing.append(Finding(kind, index, message))

    def _found(self, kind: str, index: int | None, message: str) -> None:
        self.findings.append(Finding(kind, index, message))
