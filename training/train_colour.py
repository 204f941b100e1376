"""Train the colour network: what people saw on some hundred vehicles, and what a public classifier guessed on the others, with less weight.

`colours_train.csv` holds what was seen on vehicles of the train part (image, index of the vehicle's label, colour; empty where nobody could
tell); `colours.csv`, on which agreement is measured, is of the valid part.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from services.recognizer.vehicle import COLOURS, SIDE
from training.data import Image
from training.loop import Trainer
from training.models import ColourNet

LABELS = Path(__file__).parent / "colours_train.csv"
BATCH, RATE, SMOOTHING = 64, 2e-3, 0.05
GUESSES_FROM, GUESSED_WEIGHT, GUESSED_SHARE = 0.6, 0.5, 0.25
# What the public classifier says of white, silver, grey and black is too often wrong, and it knows no brown.
GUESSABLE = ("red", "blue", "green", "yellow")
LEAST = 24  # pixels of a vehicle's shorter side
ROOM = 0.2  # of the box, kept around it, so that samples can be cut a little differently each time
Example = tuple[Image, int, float]  # picture with room around, colour, weight


def _cut(image: Image, box: list[float]) -> Image | None:
    x1, y1, x2, y2 = box
    if min(x2 - x1, y2 - y1) < LEAST:
        return None
    across, down = ROOM * (x2 - x1), ROOM * (y2 - y1)
    frame = cv2.copyMakeBorder(image, *[int(max(across, down)) + 1] * 4, cv2.BORDER_REPLICATE)
    shift = int(max(across, down)) + 1
    part = frame[
        int(y1 - down) + shift : int(y2 + down) + shift, int(x1 - across) + shift : int(x2 + across) + shift
    ]
    return np.asarray(cv2.resize(part, (int(SIDE * 2.1),) * 2, interpolation=cv2.INTER_AREA), np.uint8)


def examples(data: Path) -> tuple[list[Example], list[Example]]:
    """Vehicles with a colour that a person saw, and those with one that the public classifier was sure of."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        named = {(row["image"], int(row["vehicle"])): row["colour"] for row in csv.DictReader(file)}
    folder, seen, guessed = data / "train" / "scenes", [], []
    for line in (folder / "scenes.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["split"] != "train" or not row["vehicles"]:
            continue
        image = None
        for i, vehicle in enumerate(row["vehicles"]):
            colour, target, weight = named.get((row["image"], i)), seen, 1.0
            sure = (vehicle.get("colour_score") or 0) >= GUESSES_FROM and vehicle["colour"] in GUESSABLE
            if colour is None and sure:
                colour, target, weight = vehicle["colour"], guessed, GUESSED_WEIGHT
            if colour not in COLOURS:
                continue
            image = cv2.imread(str(folder / "images" / row["image"])) if image is None else image
            if (part := _cut(image, vehicle["box"])) is not None:
                target.append((part, COLOURS.index(colour), weight))
    return seen, guessed


class ColourSamples(IterableDataset[tuple[Tensor, int, float]]):
    """Endless samples: picture (64, 64, 3) uint8 BGR, index of its colour, weight. Rare colours come as often as the root of their share."""

    def __init__(self, seen: list[Example], guessed: list[Example], seed: int) -> None:
        self.parts, self.seed = [part for part in (seen, guessed) if part], seed

    def __iter__(self) -> Iterator[tuple[Tensor, int, float]]:
        worker = get_worker_info()
        rng = random.Random(self.seed + 1000 * (worker.id if worker else 0))
        cv2.setNumThreads(1)
        shares = []
        for part in self.parts:
            counts = Counter(label for _, label, _ in part)
            shares.append([counts[label] ** -0.5 for _, label, _ in part])
        while True:
            which = int(len(self.parts) > 1 and rng.random() < GUESSED_SHARE)
            image, label, weight = rng.choices(self.parts[which], shares[which])[0]
            yield torch.from_numpy(_changed(image, rng)), label, weight


def _changed(image: Image, rng: random.Random) -> Image:
    """Cut, mirrored, made coarse, lit and tinted a little otherwise; colours must stay what they are."""
    size, edge = image.shape[0], ROOM / (1 + 2 * ROOM)
    left, top, right, bottom = (max(0.0, edge + rng.gauss(-0.015, 0.03)) for _ in range(4))
    part = image[int(top * size) : int((1 - bottom) * size), int(left * size) : int((1 - right) * size)]
    if rng.random() < 0.3:
        small = rng.randint(14, 40)
        part = np.asarray(cv2.resize(part, (small, small), interpolation=cv2.INTER_AREA), np.uint8)
    part = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if part.shape[0] > SIDE else cv2.INTER_LINEAR)  # fmt: skip
    pixels = part.astype(np.float32)
    cast = np.array([rng.uniform(0.93, 1.07) for _ in range(3)], np.float32)
    pixels = pixels * (cast * rng.uniform(0.85, 1.15)) + rng.uniform(-8, 8)
    if rng.random() < 0.25:
        y, x = rng.randrange(SIDE - 16), rng.randrange(SIDE - 16)
        pixels[y : y + 16, x : x + 16] = rng.uniform(0, 255)
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    return np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))


def train(data: Path, output: Path, *, minutes: float, seed: int, threads: int, workers: int) -> Path:
    """Train; returns the file of the averaged weights.

    Args:
        data: folder that holds train/.
        output: folder for `colour.pt` (weights) and `colour.ckpt` (to resume from).
        minutes: time in all.
        seed: of samples and initial weights.
        threads: CPU threads of the network.
        workers: processes that make samples.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    trainer = Trainer(ColourNet(), output / "colour.ckpt", minutes=minutes, rate=RATE, average=0.99)
    weights, device = output / "colour.pt", trainer.device
    samples = ColourSamples(*examples(data), seed + trainer.step)
    total = right = 0.0
    trainer.model.train()
    for images, labels, shares in DataLoader(
        samples, batch_size=BATCH, num_workers=workers, prefetch_factor=4
    ):
        logits = trainer.model(images.to(device).permute(0, 3, 1, 2).float().div_(255))
        losses = functional.cross_entropy(
            logits, labels.to(device), label_smoothing=SMOOTHING, reduction="none"
        )
        share = shares.to(device).float()
        trainer.update((losses * share).sum() / share.sum(), clip=5.0)
        total += float((share * losses.detach()).sum() / share.sum())
        right += float((logits.argmax(1).cpu() == labels).float().mean())
        if trainer.step % 200 == 0:
            print(
                f"colour {trainer.clock.progress():4.0%} step {trainer.step} loss {total / 200:.3f} "
                f"right {right / 200:.3f} {trainer.clock.seconds():.0f} s",
                flush=True,
            )
            total = right = 0.0
        if trainer.clock.progress() >= 1:
            break
    trainer.save(weights)
    return weights
