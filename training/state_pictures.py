"""Pictures for the state network: US plates as a camera might see them, and plates of elsewhere as "no state".

The pictures are sharp and from the front; what a roadside camera gives is not. So each is turned, cut loosely, made small and large
again, blurred, lit, compressed, and now and then without colour (infrared).
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from services.recognizer.state import HEIGHT, STATES, WIDTH
from training.data import Image, Photo, photos

# Sets whose plates are surely not of the United States.
FOREIGN = (
    "rl",
    "rf-thai",
    "rf-vietnam-biensoxe",
    "rf-indonesia-ta-alvin",
    "rf-jayati-106",
    "rf-india-bus-84",
)
FOREIGN_SHARE, LEAST_FOREIGN = 0.08, 40
_LIST = (
    "Alabama AL, Alaska AK, Arizona AZ, Arkansas AR, California CA, Colorado CO, Connecticut CT, Delaware DE, Florida FL, "
    "Georgia GA, Hawaii HI, Idaho ID, Illinois IL, Indiana IN, Iowa IA, Kansas KS, Kentucky KY, Louisiana LA, Maine ME, "
    "Maryland MD, Massachusetts MA, Michigan MI, Minnesota MN, Mississippi MS, Missouri MO, Montana MT, Nebraska NE, "
    "Nevada NV, New Hampshire NH, New Jersey NJ, New Mexico NM, New York NY, North Carolina NC, North Dakota ND, Ohio OH, "
    "Oklahoma OK, Oregon OR, Pennsylvania PA, Rhode Island RI, South Carolina SC, South Dakota SD, Tennessee TN, Texas TX, "
    "Utah UT, Vermont VT, Virginia VA, Washington WA, West Virginia WV, Wisconsin WI, Wyoming WY, American Samoa AS, "
    "CNMI MP, Washington DC DC, Guam GU, Puerto Rico PR, U S Virgin Islands VI"
)
# As the set writes them; two of its folders are misspelt.
CODES = {name.upper(): f"US-{code}" for name, _, code in (each.rpartition(" ") for each in _LIST.split(", "))}
CODES |= {"HAWAI": "US-HI", "MISSIPPI": "US-MS"}
TRAIN, CALIBRATE, VALID = "train", "calibrate", "valid"


def part_of(name: str) -> str:
    """Part of a picture by the digest of its name: a tenth to measure on, a tenth to calibrate on, the rest to learn from."""
    tenth = hashlib.sha256(name.encode()).digest()[0] % 10
    return (VALID, CALIBRATE)[tenth] if tenth < 2 else TRAIN


def pictures(data: Path, part: str) -> list[tuple[Path, int]]:
    """The labelled plate pictures of a part, each with the index of its state.

    Raises:
        KeyError: a state that `CODES` does not know.
    """
    folder = data / "train" / "us-plate-crops"
    rows = [json.loads(line) for line in (folder / "crops.jsonl").read_text("utf-8").splitlines()]
    return [
        (folder / row["image"], STATES.index(CODES[row["state"].upper()])) for row in rows if part_of(row["image"]) == part
    ]  # fmt: skip


def _fitted(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def load(path: Path) -> Image:
    """A plate picture (128, 224, 3), BGR.

    Raises:
        OSError: it cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError(f"cannot decode {path.name}; is the training folder complete?")
    return _fitted(np.asarray(image, np.uint8))


def as_input(image: Image) -> npt.NDArray[np.float32]:
    """A picture as the network takes it, (1, 3, 128, 224) in 0..1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _looked_at(image: Image, rng: random.Random) -> Image:
    """Turned a little, and cut a little wider or closer than the plate."""
    rim = rng.uniform(-0.03, 0.1)
    corners = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    grown = corners + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * [rim * WIDTH, rim * HEIGHT]
    loose = grown + np.array(
        [[rng.gauss(0, 0.03) * WIDTH, rng.gauss(0, 0.035) * HEIGHT] for _ in range(4)], np.float32
    )
    matrix = cv2.getPerspectiveTransform(loose.astype(np.float32), corners)
    border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_REFLECT
    return np.asarray(cv2.warpPerspective(image, matrix, (WIDTH, HEIGHT), borderMode=border), np.uint8)


def _made_small(image: Image, width: float) -> Image:
    size = (max(8, round(width)), max(5, round(width * HEIGHT / WIDTH)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)


def _lit(image: Image, rng: random.Random) -> Image:
    pixels = image.astype(np.float32)
    if rng.random() < 0.12:
        pixels = np.repeat(pixels.mean(2, keepdims=True), 3, 2)
    gain = np.array([rng.gauss(1, 0.07) for _ in range(3)], np.float32) * rng.uniform(0.55, 1.3)
    pixels = (pixels - 128) * rng.uniform(0.6, 1.25) + 128
    pixels = pixels * gain + rng.uniform(-25, 25)
    if rng.random() < 0.3:
        # A shadow or a headlight from one side.
        ramp = np.linspace(rng.uniform(0.5, 1.1), rng.uniform(0.5, 1.1), WIDTH, dtype=np.float32)
        pixels *= ramp[None, :, None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def degraded(image: Image, rng: random.Random) -> Image:
    """A plate picture (128, 224) as a camera might have given it."""
    image = _looked_at(image, rng)
    if rng.random() < 0.7:
        image = _made_small(image, math.exp(rng.uniform(math.log(36), math.log(WIDTH))))
    if rng.random() < 0.25:
        kernel = np.zeros((7, 7), np.float32)
        cv2.line(kernel, (0, rng.randint(0, 6)), (6, rng.randint(0, 6)), 1.0)
        image = np.asarray(cv2.filter2D(image, -1, kernel / max(1.0, float(kernel.sum()))), np.uint8)
    image = _lit(image, rng)
    if rng.random() < 0.6:
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(25, 92)])
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return image


def foreign(data: Path, split: str) -> list[tuple[Photo, int]]:
    """Photographs with plates of elsewhere, each with the index of a plate large enough to show anything."""
    return [
        (photo, i) for photo in photos(data, split) if photo.source in FOREIGN
        for i, plate in enumerate(photo.plates) if plate.box[2] - plate.box[0] >= LEAST_FOREIGN
    ]  # fmt: skip


def cut_out(photo: Photo, index: int) -> Image:
    """A photograph's plate, fitted."""
    image, (x1, y1, x2, y2) = photo.load(), photo.plates[index].box
    rows, columns = max(0, int(y1)), max(0, int(x1))
    return _fitted(image[rows : max(rows + 2, int(y2)), columns : max(columns + 2, int(x2))])
