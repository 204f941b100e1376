"""What a witness remembers: one file, replaced atomically, on disk before any cosignature leaves.

Rules
-----
1. The file is JSON: for each log the last checkpoint that was cosigned, earlier ones, and the evidence against logs that
   contradicted themselves (at most 100 checkpoints a log, the first ones).
2. Earlier checkpoints tell a verifier *where* a rewritten log differs. They are thinned as they age: 64 of the newest, then
   ever fewer, 256 in all.
3. A file that cannot be read stops the witness: starting with an empty memory would cosign a rewritten log.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlog.checkpoint import Checkpoint, CheckpointError
from tlog.note import NoteError, parse_note

_MOST_EVIDENCE = 100
_MOST_EARLIER = 256
_KEPT_NEWEST = 64


class StateError(Exception):
    """The state file cannot be read; the message says what to do."""


@dataclass(slots=True)
class Remembered:
    """One log: the note that was cosigned last, earlier ones oldest first, and evidence."""

    note: str
    evidence: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of the note."""
        return Checkpoint.parse(parse_note(self.note).text)


class WitnessState:
    """The state file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logs: dict[str, Remembered] = {}
        if path.exists():
            self._load()

    def last(self, origin: str) -> Checkpoint | None:
        """Return what was cosigned last of a log."""
        found = self._logs.get(origin)
        return found.checkpoint if found and found.note else None

    def logs(self) -> dict[str, Remembered]:
        """Return everything that is remembered."""
        return dict(self._logs)

    def remember(self, origin: str, note: str) -> None:
        """Keep a checkpoint; it is on disk when this returns."""
        kept = self._logs.setdefault(origin, Remembered(""))
        if kept.note and kept.checkpoint.text != parse_note(note).text:
            kept.earlier.append(kept.note)
            if len(kept.earlier) > _MOST_EARLIER:
                kept.earlier[:-_KEPT_NEWEST] = kept.earlier[:-_KEPT_NEWEST:2]
        kept.note = note
        self._save()

    def keep_evidence(self, origin: str, note: str) -> None:
        """Keep a checkpoint that contradicts what was cosigned."""
        kept = self._logs.setdefault(origin, Remembered(""))
        if note not in kept.evidence and len(kept.evidence) < _MOST_EVIDENCE:
            kept.evidence.append(note)
            self._save()

    def _load(self) -> None:
        try:
            data: Any = json.loads(self._path.read_text(encoding="utf-8"))
            for origin, item in data["logs"].items():
                kept = Remembered(
                    str(item["note"]), [str(n) for n in item["evidence"]], [str(n) for n in item["earlier"]]
                )
                if kept.note and kept.checkpoint.origin != origin:
                    raise StateError(f"{self._path}: the checkpoint kept for {origin} is of another log")
                self._logs[origin] = kept
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            NoteError,
            CheckpointError,
        ) as error:
            raise StateError(
                f"{self._path} cannot be read ({error}): restore it from a copy. Do not start with an empty one: "
                "the witness would forget what it vouched for"
            ) from error

    def _save(self) -> None:
        logs = {
            o: {"note": k.note, "evidence": k.evidence, "earlier": k.earlier} for o, k in self._logs.items()
        }
        new = self._path.with_name(self._path.name + ".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({"logs": logs}, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
