"""Offline verification of an exported log and of receipts; needs no service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import json_format

from plateward.common.v1 import receipt_pb2
from tlog.checkpoint import CheckpointError, open_checkpoint
from tlog.note import NoteError, VerifierKey
from tlog.receipt import Receipt, ReceiptError
from tlog.tiles import TileError, decode_bundle, parse_tile_path
from tlog.verifier import fsck


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    what: str
    ok: bool
    result: str


@dataclass(slots=True)
class Verdict:
    """All that was checked."""

    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def add(self, what: str, ok: bool, result: str) -> None:
        """Add a check."""
        self.checks.append(Check(what, ok, result))


def verify_export(export: Path, receipt_paths: Sequence[Path], vkey: str, state: Path | None) -> Verdict:
    """Verify an export, some receipts, and consistency with an earlier checkpoint."""
    verdict = Verdict()
    try:
        key = _key(export, vkey, verdict)
        note = (export / "checkpoint").read_text(encoding="utf-8")
        opened = open_checkpoint(note, [key])
    except (OSError, NoteError, CheckpointError) as error:
        verdict.add("signed checkpoint", False, str(error))
        return verdict
    size = opened.checkpoint.size
    verdict.add("signed checkpoint", True, f"size {size}, key {key.label}")
    receipts = _receipts(receipt_paths, verdict)
    earlier = [state.read_text(encoding="utf-8")] if state and state.exists() else []
    tiles = _tiles(export)
    report = fsck(
        _entries(tiles), tiles, note, [key], origin=None, earlier=earlier, receipts=receipts.values()
    )
    found = [f.message for f in report.findings]
    verdict.add(
        f"{report.entries} entries, every tile rebuilt",
        report.ok,
        "whole" if report.ok else "; ".join(found[:3]),
    )
    for name, receipt in receipts.items():
        _check_receipt(name, receipt, key, verdict)
    if earlier:
        verdict.add(
            "consistent with the checkpoint seen before", report.ok, "yes" if report.ok else "see above"
        )
    if state and verdict.ok:
        state.write_text(note, encoding="utf-8")
    return verdict


def _key(export: Path, vkey: str, verdict: Verdict) -> VerifierKey:
    if vkey:
        text = Path(vkey).read_text(encoding="utf-8") if Path(vkey).is_file() else vkey
        return VerifierKey.parse(text.strip())
    verdict.notes.append(
        "the public key came with the export; a key from the agency's policy page (--vkey) proves more"
    )
    return VerifierKey.parse((export / "log.vkey").read_text(encoding="utf-8").strip())


def _tiles(export: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(export)): p.read_bytes()
        for p in sorted((export / "tile").rglob("*"))
        if p.is_file()
    }


def _entries(tiles: dict[str, bytes]) -> Iterable[tuple[int, bytes]]:
    """Yield (index, entry) of all bundles, as they stand; a damaged bundle ends them and shows as missing entries."""
    bundles = sorted(
        ((c.index, data) for p, data in tiles.items() if (c := parse_tile_path(p)).level is None),
        key=lambda b: b[0],
    )
    for number, data in bundles:
        try:
            entries = decode_bundle(data)
        except TileError:
            return
        yield from ((number * 256 + offset, entry) for offset, entry in enumerate(entries))


def _receipts(paths: Sequence[Path], verdict: Verdict) -> dict[str, Receipt]:
    files = [f for p in paths for f in (sorted(p.glob("*.json")) if p.is_dir() else [p])]
    found: dict[str, Receipt] = {}
    for file in files:
        try:
            message = json_format.Parse(file.read_text(encoding="utf-8"), receipt_pb2.Receipt())
            found[file.name] = Receipt(
                entry_id=message.event_id, index=message.index, leaf_hash=message.leaf_hash, checkpoint_note=message.checkpoint,
                inclusion=tuple(message.inclusion_proof),
            )  # fmt: skip
        except (OSError, ValueError, json_format.ParseError) as error:
            verdict.add(f"receipt {file.name}", False, f"is no receipt: {error}")
    return found


def _check_receipt(name: str, receipt: Receipt, key: VerifierKey, verdict: Verdict) -> None:
    try:
        receipt.verify([key])
    except ReceiptError as error:
        verdict.add(f"receipt {name}", False, f"entry {receipt.index}: {error}")
    else:
        verdict.add(f"receipt {name}", True, f"entry {receipt.index} is in the log")
