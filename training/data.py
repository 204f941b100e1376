"""Reading the training folder: labelled street photographs and labelled pictures of plates.

Only `train/` is ever opened here; the benchmark folder beside it is for `evaluate` alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
VEHICLE_CLASSES = ("car", "truck", "bus", "motorcycle")
UNSURE = 0.5  # boxes of the public detector below this score are neither right nor wrong
# The sets call a vehicle many things; a class the detector does not know trains the box only.
_CLASS_NAMES = {"car": 0, "truck": 1, "ambulance": 1, "bus": 2, "motorcycle": 3}
_TYPE_NAMES = {"car": 0, "van": 0, "truck": 1, "bus": 2}
# Texts of pictures that the folder has without; read by eye for this project, the surest of the first reader's only checked.
PLATE_TEXTS = Path(__file__).parent / "plate_texts.csv"
READABLE_HELD_BACK = 10  # every tenth labelled plate picture is kept for calibration and never trained on


@dataclass(frozen=True)
class Plate:
    """A labelled plate: its box and, where known, its four corners (clockwise from top left, as x, y pairs)."""

    box: Box
    corners: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Vehicle:
    """A labelled vehicle: its box, class index (-1 unknown) and whether the box is trusted."""

    box: Box
    kind: int
    sure: bool


@dataclass(frozen=True)
class Photo:
    """A street photograph and its labels; `*_complete` says whether all of a kind are boxed."""

    path: Path
    source: str
    split: str
    plates: tuple[Plate, ...]
    plates_complete: bool
    vehicles: tuple[Vehicle, ...]
    vehicles_complete: bool

    def load(self) -> Image:
        """Decode the photograph as BGR.

        Raises:
            OSError: the file is missing or not an image.
        """
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise OSError(f"cannot decode {self.path.name}; is the training folder complete?")
        return image


def _vehicle(label: dict[str, Any]) -> Vehicle:
    kind = _CLASS_NAMES.get(label["class"], -1)
    if kind < 0 and (label.get("type_score") or 0) >= 0.8:
        # The public classifier takes pick-ups and many rear views for trucks: trust it for cars and buses only.
        guess = _TYPE_NAMES.get(label.get("type") or "", -1)
        kind = guess if guess in (0, 2) else -1
    sure = label["by"] == "label" or (label.get("score") or 0) >= UNSURE
    x1, y1, x2, y2 = label["box"]
    return Vehicle((x1, y1, x2, y2), kind, sure)


def photos(data: Path, split: str) -> list[Photo]:
    """All street photographs of a split (`train` or `valid`)."""
    folder = data / "train" / "scenes"
    result = []
    for line in (folder / "scenes.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["split"] != split:
            continue
        boxes = [b for b in row["plates"] if b[2] - b[0] >= 4 and b[3] - b[1] >= 3]
        plates = tuple(Plate((b[0], b[1], b[2], b[3])) for b in boxes)
        vehicles = tuple(_vehicle(v) for v in row["vehicles"])
        path = folder / "images" / row["image"]
        complete = row["plates_complete"], row["vehicles_complete"]
        result.append(Photo(path, row["set"], split, plates, complete[0], vehicles, complete[1]))
    return result


def plate_texts(data: Path) -> list[tuple[str, str]]:
    """Name and text of each picture of a plate that somebody read: the folder's own labels first, then `plate_texts.csv`.

    Those with stacked letters are left out, their order is undecided.
    """
    rows = map(
        json.loads, (data / "train" / "us-plate-crops" / "crops.jsonl").read_text("utf-8").splitlines()
    )
    own = [(row["image"], row["text"]) for row in rows if row.get("text") and not row.get("flag")]
    with PLATE_TEXTS.open(encoding="utf-8", newline="") as file:
        return own + [(row["image"], row["text"]) for row in csv.DictReader(file)]


def plate_pictures(data: Path, *, held_back: bool = False) -> Iterator[tuple[npt.NDArray[np.uint8], str]]:
    """Grey pictures of plates with their text, of those that are trained on or of those that are not."""
    for i, (name, text) in enumerate(plate_texts(data)):
        if (i % READABLE_HELD_BACK == 0) != held_back:
            continue
        image = cv2.imread(str(data / "train" / "us-plate-crops" / name), cv2.IMREAD_GRAYSCALE)
        if image is not None:
            yield image, text


def font_files(data: Path) -> list[Path]:
    """Upright font files of the training folder whose weight occurs on plates."""
    unlike = ("italic", "thin", "light")
    files = sorted((data / "train" / "fonts").rglob("*.ttf"))
    return [f for f in files if not any(word in f.name.lower() for word in unlike)]
