"""Reads against labelled photographs: what was right, misread, missed, and read where no plate is. Pure.

Texts are compared *folded*: upper case, A-Z and 0-9 only, O as 0 and I as 1, which no photograph decides without the state.
A read belongs to a labelled plate where their boxes overlap by 0.3 (intersection over union); a label without a box is met by
any read of the picture. A read that touches no labelled box is false. ``training.evaluate`` counts the same.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from services.recognizer.results import BoxXYWH, PlateRead

Kind = Literal["misread", "unreadable", "missed", "false read"]
LEAST_OVERLAP = 0.3
_FOLD = str.maketrans("OI", "01")


class TruthError(ValueError):
    """A folder without usable labels; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class Label:
    """A plate that is there: its text, and its box (x, y, width, height in pixels) where it is known."""

    text: str
    box: BoxXYWH | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: what kind, which label (None for a false read), and the plate in question (None if missed)."""

    kind: Kind
    label: Label | None
    plate: PlateRead | None


@dataclass
class Score:
    """Counts over a folder."""

    images: int = 0
    plates: int = 0
    right: int = 0
    listed: int = 0
    found: int = 0
    false: int = 0
    unread: list[str] = field(default_factory=list)

    def measures(self) -> dict[str, float]:
        """Return the measures by name: shares of the plates, and false reads for each image."""
        plates, images = max(1, self.plates), max(1, self.images)
        return {
            "folded": self.right / plates,
            "top-10 folded": self.listed / plates,
            "found": self.found / plates,
            "false reads an image": self.false / images,
        }

    def add(self, plates: Sequence[PlateRead], labels: Sequence[Label]) -> list[Fault]:
        """Count one picture; return what is wrong with it."""
        reads = [p for p in plates if p.readable]
        faults: list[Fault] = []
        self.images += 1
        for label in labels:
            want = folded(label.text)
            hits = [p for p in reads if _meets(p, label)]
            right = any(folded(p.text) == want for p in hits)
            self.plates += 1
            self.found += bool(hits)
            self.right += right
            self.listed += any(folded(c) == want for p in hits for c, _ in p.candidates)
            if not right:
                faults.append(_fault(label, hits, [p for p in plates if not p.readable and _meets(p, label)]))
        boxes = [label.box for label in labels if label.box is not None]
        for plate in reads if boxes else ():
            if all(overlap(plate.box, box) == 0 for box in boxes):
                self.false += 1
                faults.append(Fault("false read", None, plate))
        return faults


def folded(text: str) -> str:
    """Return a text as it is compared."""
    return "".join(c for c in text.upper() if c.isascii() and c.isalnum()).translate(_FOLD)


def overlap(a: BoxXYWH, b: BoxXYWH) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / (a[2] * a[3] + b[2] * b[3] - wide * high)


def labels_of(folder: Path) -> dict[str, list[Label]]:
    """Read the labels of a folder: ``truth.jsonl`` (texts and boxes) or ``truth.csv`` (image, text).

    Raises:
        TruthError: neither is there, or it is not in that form.
    """
    try:
        if (folder / "truth.jsonl").exists():
            lines = (folder / "truth.jsonl").read_text("utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
            return {r["image"]: [Label(p["text"], _box(p["box"])) for p in r["plates"]] for r in rows}
        with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
            return {row["image"]: [Label(row["text"])] for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise TruthError(
            f"no usable labels in {folder} ({error!r}): give a folder with truth.jsonl, one line a picture such as "
            '{"image": "a.jpg", "plates": [{"text": "8ABC123", "box": [10, 20, 90, 40]}]}, or truth.csv (image,text)'
        ) from error


def _box(values: Sequence[float]) -> BoxXYWH:
    x, y, width, height = (float(v) for v in values)
    return x, y, width, height


def _meets(plate: PlateRead, label: Label) -> bool:
    return label.box is None or overlap(plate.box, label.box) >= LEAST_OVERLAP


def _fault(label: Label, hits: Sequence[PlateRead], unread: Sequence[PlateRead]) -> Fault:
    if hits:
        return Fault("misread", label, max(hits, key=lambda p: p.confidence))
    if unread:
        return Fault("unreadable", label, max(unread, key=lambda p: p.detection))
    return Fault("missed", label, None)
