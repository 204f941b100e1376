"""Labels by the first reader for pictures that nobody labelled: the surest reads become training data of the second.

A read is taken only if both looks at the plate (straightened and as boxed) agree and are sure; what the reader gets wrong with
confidence it would only learn to repeat.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from services.recognizer.pipeline import Pipeline
from services.recognizer.read import Reader
from services.recognizer.rectify import CROP_HEIGHT, CROP_WIDTH
from training import data

LEAST_CONFIDENCE = 0.8
LEAST_LENGTH = 4
MARGIN = 0.03  # kept around a plate cut out of a photograph, so that its rim is in the picture
Labelled = tuple[npt.NDArray[np.uint8], str]


def _unlabelled_pictures(folder: Path, reader: Reader) -> list[Labelled]:
    """Plate pictures without text, read as a whole and with a narrow rim cut away."""
    root = folder / "train" / "us-plate-crops"
    found, read = [], {name for name, _ in data.plate_texts(folder)}
    for line in (root / "crops.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row.get("text") or row.get("flag") or row["image"] in read:
            continue
        grey = cv2.imread(str(root / row["image"]), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            continue
        h, w = grey.shape
        inner = grey[int(0.03 * h) : int(0.97 * h), int(0.03 * w) : int(0.97 * w)]
        looks = [
            cv2.resize(g, (CROP_WIDTH, CROP_HEIGHT), interpolation=cv2.INTER_AREA) for g in (grey, inner)
        ]
        first, second = reader.read([np.asarray(look, np.uint8) for look in looks])
        sure = min(first.confidence, second.confidence) >= LEAST_CONFIDENCE
        if sure and first.text == second.text and len(first.text) >= LEAST_LENGTH:
            found.append((np.asarray(grey, np.uint8), first.text))
    return found


def _photographs(folder: Path, pipeline: Pipeline) -> list[Labelled]:
    """Plates of the training photographs that the pipeline reads surely where a label says there is one."""
    found = []
    for photo in data.photos(folder, "train"):
        if not photo.plates:
            continue
        image = photo.load()
        for plate in pipeline.recognize(image).plates:
            if plate.confidence < LEAST_CONFIDENCE or len(plate.text) < LEAST_LENGTH:
                continue
            x, y, w, h = plate.box
            centre = x + w / 2, y + h / 2
            if not any(
                b.box[0] < centre[0] < b.box[2] and b.box[1] < centre[1] < b.box[3] for b in photo.plates
            ):
                continue
            left, top = max(0, int(x - MARGIN * w)), max(0, int(y - MARGIN * h))
            cut = image[top : int(y + h * (1 + MARGIN)) + 1, left : int(x + w * (1 + MARGIN)) + 1]
            found.append((np.asarray(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY), np.uint8), plate.text))
    return found


def build(folder: Path, output: Path, pipeline: Pipeline, reader: Reader) -> int:
    """Write `pseudo.npz` unless it is there; returns how many labelled pictures it holds."""
    if not output.exists():
        labelled = _unlabelled_pictures(folder, reader) + _photographs(folder, pipeline)
        pictures = {f"picture{i}": picture for i, (picture, _) in enumerate(labelled)}
        np.savez_compressed(output, texts=np.array([text for _, text in labelled]), **pictures)
    return len(load(output))


def load(path: Path) -> list[Labelled]:
    """Pictures and texts written by `build`."""
    with np.load(path) as stored:
        texts = [str(text) for text in stored["texts"]]
        return [(stored[f"picture{i}"], text) for i, text in enumerate(texts)]
