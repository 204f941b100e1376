"""Offline verification of an exported log and of receipts; needs no service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from clients.cli.audit_rows import check_rows
from clients.cli.audit_verdict import Verdict
from clients.witness.state import WitnessState
from plateward.common.v1 import receipt_pb2
from tlog.checkpoint import CheckpointError, open_checkpoint
from tlog.note import NoteError, VerifierKey
from tlog.receipt import Receipt, ReceiptError
from tlog.tiles import TileError, decode_bundle, parse_tile_path
from tlog.verifier import fsck


@dataclass(frozen=True, slots=True)
class Trust:
    """What the verifier knows from elsewhere: the log's keys, witnesses and how many must have cosigned, notes others keep.

    ``state`` is a file with the last checkpoint seen; ``seen`` are notes that witnesses or newspapers keep.
    """

    vkeys: Sequence[str] = ()
    witnesses: Sequence[str] = ()
    quorum: int = 0
    state: Path | None = None
    seen: Sequence[str] = ()


def verify_export(export: Path, receipt_paths: Sequence[Path], trust: Trust) -> Verdict:
    """Verify an export, some receipts, and consistency with earlier checkpoints."""
    verdict = Verdict()
    try:
        keys = _keys(export, trust, verdict)
        witnesses = [VerifierKey.parse(_text(w)) for w in trust.witnesses]
        quorum = trust.quorum or len(witnesses)
        note = (export / "checkpoint").read_text(encoding="utf-8")
        opened = open_checkpoint(note, keys, witnesses=witnesses)
    except (OSError, NoteError, CheckpointError) as error:
        verdict.add("signed checkpoint", False, str(error))
        return verdict
    size = opened.checkpoint.size
    verdict.add("signed checkpoint", True, f"size {size}, key {keys[0].label}")
    if witnesses:
        names = sorted({name for name, _ in opened.witnesses})
        verdict.add(
            "cosigned by outside witnesses",
            len(names) >= quorum,
            f"{', '.join(names) or 'none'}; {quorum} must",
        )
    receipts = _receipts(receipt_paths, verdict)
    earlier = [
        *trust.seen,
        *([trust.state.read_text(encoding="utf-8")] if trust.state and trust.state.exists() else []),
    ]
    tiles = _tiles(export)
    report = fsck(
        _entries(tiles), tiles, note, keys, origin=None, earlier=earlier, receipts=receipts.values(),
    )  # fmt: skip
    found = [f.message for f in report.findings]
    verdict.first_bad = report.first.index if report.first else None
    verdict.add(
        f"{report.entries} entries, every tile rebuilt",
        report.ok,
        "whole" if report.ok else "; ".join(found[:3]),
    )
    for name, receipt in receipts.items():
        _check_receipt(name, receipt, keys, verdict)
    if earlier:
        verdict.add(
            f"consistent with {len(earlier)} checkpoint{'s' * (len(earlier) > 1)} seen before",
            report.ok,
            "yes" if report.ok else "see above",
        )
    check_rows(export, size, verdict)
    if trust.state and verdict.ok:
        trust.state.write_text(note, encoding="utf-8")
    return verdict


def verify_receipts(receipt_paths: Sequence[Path], trust: Trust) -> Verdict:
    """Verify receipts alone: each against the checkpoint in it, all of them against the log's public key."""
    verdict = Verdict()
    try:
        keys = [VerifierKey.parse(line) for given in trust.vkeys for line in _text(given).splitlines()]
    except NoteError as error:
        verdict.add("public key", False, str(error))
        return verdict
    for name, receipt in _receipts(receipt_paths, verdict).items():
        _check_receipt(name, receipt, keys, verdict)
    return verdict


def kept_notes(path: Path) -> list[str]:
    """Return the checkpoints that a file holds: one note, or what a witness remembers and keeps as evidence.

    Raises:
        clients.witness.state.StateError: it looks like a witness's state and cannot be read.
    """
    text = path.read_text(encoding="utf-8")
    if not text.lstrip().startswith("{"):
        return [text]
    logs = WitnessState(path).logs().values()
    return [note for kept in logs for note in (*kept.earlier, kept.note, *kept.evidence) if note]


def _keys(export: Path, trust: Trust, verdict: Verdict) -> list[VerifierKey]:
    if trust.vkeys:
        return [VerifierKey.parse(line) for given in trust.vkeys for line in _text(given).splitlines()]
    verdict.notes.append(
        "the public key came with the export; a key from the agency's policy page (--vkey) proves more"
    )
    lines = (export / "log.vkey").read_text(encoding="utf-8").splitlines()
    return [VerifierKey.parse(line) for line in lines if line]


def _text(given: str) -> str:
    return (Path(given).read_text(encoding="utf-8") if Path(given).is_file() else given).strip()


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


def _check_receipt(name: str, receipt: Receipt, keys: Sequence[VerifierKey], verdict: Verdict) -> None:
    try:
        receipt.verify(keys)
    except ReceiptError as error:
        verdict.add(f"receipt {name}", False, f"entry {receipt.index}: {error}")
    else:
        verdict.add(f"receipt {name}", True, f"entry {receipt.index} is in the log")
