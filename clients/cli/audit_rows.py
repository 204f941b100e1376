"""Checking the sealed rows of an export against their leaves: no key is needed, nothing is opened.

A changed payload, a changed time, a search term that was taken away so that a search no longer finds the entry: each is a
row that its leaf does not commit to. A key that is gone must be explained by a leaf that says ``seals N``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clients.cli.audit_verdict import Verdict
from tlog.leaf import Leaf, LeafError, Row
from tlog.tiles import TILE_WIDTH, TileError, decode_bundle, tile_path


def check_rows(export: Path, size: int, verdict: Verdict) -> None:
    """Check every sealed row of an export that has them; say nothing of one that has none."""
    if not (export / "payload").is_dir():
        return
    found: dict[int, str] = {}
    sealed: set[int] = set()
    ordered: set[int] = set()
    for index, leaf, row in _pairs(export, size):
        if leaf is None or row is None:
            found[index] = f"entry {index}: {'its leaf' if leaf is None else 'its row'} is missing"
            continue
        try:
            parsed = Leaf.parse(leaf)
            key = None if row["wrapped_key"] is None else base64.b64decode(row["wrapped_key"])
            parsed.check(row["event_id"], _row(row), key)
        except (LeafError, ValueError, KeyError, TypeError) as error:
            found[index] = f"entry {index}: {error}"
            continue
        if key is None:
            sealed.add(index)
        if parsed.seals is not None:
            ordered.add(parsed.seals)
    found |= {
        i: f"entry {i}: the payload's key is gone, and no order in the log says so" for i in sealed - ordered
    }
    if found:
        verdict.bad_at(min(found))
    text = "as their leaves commit to them" if not found else "; ".join(found[i] for i in sorted(found)[:3])
    verdict.add(f"{size} sealed rows", not found, text)
    if sealed:
        verdict.notes.append(f"{len(sealed)} payloads were sealed by order; their orders are in the log")


def _pairs(export: Path, size: int) -> Iterator[tuple[int, bytes | None, dict[str, Any] | None]]:
    for number in range(-(-size // TILE_WIDTH)):
        first, width = number * TILE_WIDTH, min(TILE_WIDTH, size - number * TILE_WIDTH)
        path = tile_path(None, number, width)
        rows = {r["index"]: r for r in _lines(export / path.replace("tile/entries", "payload"))}
        leaves = _bundle(export / path)
        for index in range(first, first + width):
            yield index, leaves[index - first] if index - first < len(leaves) else None, rows.get(index)


def _bundle(path: Path) -> list[bytes]:
    try:
        return decode_bundle(path.read_bytes())
    except (OSError, TileError):
        return []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("index"), int):
                yield row


def _row(row: dict[str, Any]) -> Row:
    return Row(
        row["occurred_us"], row["action"], row["phase"], row["status"], base64.b64decode(row["digest"]),
        [base64.b64decode(term) for term in row["terms"]], base64.b64decode(row["sealed"]),
    )  # fmt: skip
