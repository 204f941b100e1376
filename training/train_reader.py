"""Train the reader on the cache: CTC, helped at first by a cross-entropy on the columns of known character centres.

The second loss tells the network where each character is before CTC could find out by itself: it halves the
samples needed. Its weight fades, since CTC places characters better once they are known.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.crops import COLUMNS
from training.loop import Trainer, mixed
from training.models import READER_CLASSES, Reader
from training.reader_data import IGNORED, column_targets

BATCH = 128
RATE = 2e-3
CTC_FROM_STEP = 300
COLUMNS_FADE = 1.4  # the column loss has gone after 1 / 1.4 of the training
BLANK_WEIGHT = 0.3
CHUNKS_AT_ONCE = 24  # held in memory and shuffled together


def normalise(crops: Tensor) -> Tensor:
    """Zero mean and about unit deviation per crop; must equal `services.recognizer.read.normalise`."""
    deviation = crops.std((1, 2, 3), keepdim=True, correction=0)
    return (crops - crops.mean((1, 2, 3), keepdim=True)) / (deviation + 4)


def _augment(crops: Tensor) -> Tensor:
    """Cheap changes, so that a sample drawn again is not the same."""
    n = len(crops)
    crops = crops * torch.empty(n, 1, 1, 1).uniform_(0.7, 1.3) + torch.empty(n, 1, 1, 1).uniform_(-20, 20)
    if torch.rand(1) < 0.5:
        crops = crops + torch.randn_like(crops) * torch.rand(n, 1, 1, 1) * 8
    if torch.rand(1) < 0.5:
        crops = torch.roll(crops, int(torch.randint(-4, 5, (1,))), 2)
    if torch.rand(1) < 0.3:
        top, left = int(torch.randint(0, 50, (1,))), int(torch.randint(0, 150, (1,)))
        crops[::4, :, top : top + 10, left : left + 8] = crops[::4].mean((1, 2, 3), keepdim=True)
    return crops.clamp(0, 255)


class _Chunks:
    """Endless shuffled batches over as many chunk files as fit in memory, changing files each epoch."""

    def __init__(self, files: list[Path], seed: int) -> None:
        self.files, self.rng, self.epoch = files, random.Random(seed), 0
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        while True:
            chosen = self.rng.sample(self.files, min(CHUNKS_AT_ONCE, len(self.files)))
            loaded = [np.load(f) for f in chosen]
            labels, centres = (np.concatenate([c[k] for c in loaded]) for k in ("labels", "centres"))
            crops = torch.from_numpy(np.concatenate([c["crops"] for c in loaded]))
            columns, texts = (
                torch.from_numpy(column_targets(labels, centres)),
                torch.from_numpy(labels.astype(np.int64)),
            )
            order = torch.randperm(len(crops), generator=self.generator)
            for start in range(0, len(order) - BATCH + 1, BATCH):
                pick = order[start : start + BATCH]
                yield crops[pick].unsqueeze(1).float(), texts[pick], columns[pick]
            self.epoch += 1


def train(
    files: list[Path], output: Path, *, minutes: float, seed: int, threads: int, start: Path | None = None
) -> Path:
    """Train the reader; returns the file of its averaged weights.

    Args:
        files: chunks from `reader_data.build`.
        output: folder for `reader.pt` (weights) and `reader.ckpt` (to resume from).
        minutes: time in all.
        seed: of shuffling and initial weights. (Results vary with the time that the machine grants all the same.)
        threads: CPU threads.
        start: weights to begin with.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    trainer = Trainer(Reader(), output / "reader.ckpt", minutes=minutes, rate=RATE, average=0.99)
    if start:
        trainer.start_from(start)
    weights, chunks = output / "reader.pt", _Chunks(files, seed + trainer.step)
    forward, device = torch.compile(trainer.model), trainer.device
    class_weights = torch.ones(READER_CLASSES, device=device)
    class_weights[0] = BLANK_WEIGHT
    history: list[tuple[float, float]] = []
    trainer.model.train()
    for raw, *targets in chunks:
        crops = normalise(_augment(raw)).to(device).contiguous(memory_format=torch.channels_last)
        texts, columns = (t.to(device) for t in targets)
        with mixed(device):
            logits = forward(crops)
        logits = logits.float()
        fade = max(0.1, 1 - trainer.clock.progress() * COLUMNS_FADE)
        by_column = functional.cross_entropy(
            logits.flatten(0, 1), columns.flatten(), class_weights, ignore_index=IGNORED
        )
        by_text = torch.zeros((), device=device)
        if trainer.step > CTC_FROM_STEP or start:
            lengths = torch.full((len(crops),), COLUMNS), (texts > 0).sum(1)
            steps = logits.log_softmax(-1).transpose(0, 1)
            by_text = functional.ctc_loss(steps, texts, *lengths, zero_infinity=True)
        trainer.update(2 * fade * by_column + by_text, clip=2.0)
        history.append((float(by_column.detach()), float(by_text.detach())))
        if trainer.step % 200 == 0:
            mean = np.mean(history, 0)
            history.clear()
            seconds = trainer.clock.seconds()
            print(
                f"reader {trainer.clock.progress():4.0%} step {trainer.step} columns {mean[0]:.3f} ctc {mean[1]:.3f} "
                f"{seconds:.0f} s",
                flush=True,
            )
        if trainer.step % 1000 == 0:
            trainer.save(weights)
        if trainer.clock.progress() >= 1:
            break
    trainer.save(weights)
    return weights
