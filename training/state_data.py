"""The state network's samples, without end; what they are made of is in `state_pictures`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from services.recognizer.state import NONE
from training.data import Image
from training.state_pictures import FOREIGN_SHARE, TRAIN, cut_out, degraded, foreign, load, pictures


class StateSamples(IterableDataset[tuple[Tensor, int]]):
    """Endless samples: picture (128, 224, 3) uint8 BGR, index of its state, `NONE` for plates of elsewhere."""

    def __init__(self, data: Path, seed: int) -> None:
        self.pictures = pictures(data, TRAIN)
        self.foreign = foreign(data, "train")
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        worker = get_worker_info()
        rng = random.Random(self.seed + 1000 * (worker.id if worker else 0))
        cv2.setNumThreads(1)
        loaded: dict[Path, Image] = {}
        while True:
            if rng.random() < FOREIGN_SHARE:
                image, label = cut_out(*rng.choice(self.foreign)), NONE
            else:
                path, label = rng.choice(self.pictures)
                if path not in loaded:
                    loaded[path] = load(path)
                image = loaded[path]
            yield torch.from_numpy(degraded(image, rng)), label
