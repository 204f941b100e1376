"""The reader's training cache: chunks of rendered crops, written by several processes, resumable by file."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scenes.glyphs import ALPHABET
from training import data, pseudo
from training.crops import COLUMNS, HEIGHT, WIDTH, CropMaker, Sample
from training.pseudo import Labelled

CHUNK = 5000  # samples a file
LONGEST = 10  # characters
REAL_SHARE = 0.3  # of the samples come from labelled pictures of plates
PSEUDO_SHARE = 0.1  # come from pictures that the first reader labelled, where there are any
RENEW_STYLES_EVERY = 2000
BACKGROUNDS = 80
IGNORED = -100  # class of columns that teach nothing; PyTorch's own default


@dataclass(frozen=True)
class Job:
    """One chunk to write. Equal jobs write equal files."""

    folder: Path
    output: Path
    seed: int
    samples: int
    pseudo: Path | None


def _write(job: Job) -> Path:
    cv2.setNumThreads(1)
    maker = CropMaker(job.seed, data.font_files(job.folder), _backgrounds(job.folder, job.seed))
    pictures = list(data.plate_pictures(job.folder))
    guessed = pseudo.load(job.pseudo) if job.pseudo else []
    crops = np.zeros((job.samples, HEIGHT, WIDTH), np.uint8)
    labels = np.zeros((job.samples, LONGEST), np.uint8)
    centres = np.full((job.samples, LONGEST), -1, np.float16)
    i = 0
    while i < job.samples:
        if i % RENEW_STYLES_EVERY == RENEW_STYLES_EVERY - 1:
            maker.pool.renew(maker.rng)
        sample = _draw(maker, pictures, guessed)
        n = len(sample.text)
        if n > LONGEST:
            continue
        crops[i] = sample.crop
        labels[i, :n] = [ALPHABET.index(c) + 1 for c in sample.text]
        centres[i, :n] = sample.centres
        i += 1
    # Written aside and renamed: a chunk that exists is whole, which is what makes the cache resumable.
    part = job.output.with_suffix(".part.npz")
    np.savez(part, crops=crops, labels=labels, centres=centres)
    part.replace(job.output)
    return job.output


def _draw(maker: CropMaker, pictures: list[Labelled], guessed: list[Labelled]) -> Sample:
    kind = maker.rng.random()
    if pictures and kind < REAL_SHARE:
        return maker.from_photo(*maker.rng.choice(pictures))
    if guessed and REAL_SHARE <= kind < REAL_SHARE + PSEUDO_SHARE:
        return maker.from_photo(*maker.rng.choice(guessed))
    return maker.synthetic()


def _backgrounds(folder: Path, seed: int) -> list[npt.NDArray[np.uint8]]:
    chosen = np.random.default_rng(seed).permutation(np.array(data.photos(folder, "train"), dtype=object))
    greys = (cv2.cvtColor(p.load(), cv2.COLOR_BGR2GRAY) for p in chosen[:BACKGROUNDS])
    return [cv2.resize(g, (960, 540), interpolation=cv2.INTER_LINEAR) for g in greys]


def column_targets(labels: npt.NDArray[np.uint8], centres: npt.NDArray[np.float16]) -> npt.NDArray[np.int64]:
    """Class of each output column: the character whose centre lies in it, else blank; -100 where centres are unknown.

    Args:
        labels: (n, 10) classes 1 to 36, 0 behind the end.
        centres: (n, 10) fractions of the width, -1 unknown.

    Returns:
        (n, 40) classes.
    """
    targets = np.zeros((len(labels), COLUMNS), np.int64)
    columns = np.clip((centres.astype(np.float32) * COLUMNS).astype(int), 0, COLUMNS - 1)
    for j in range(labels.shape[1]):
        rows = np.flatnonzero(labels[:, j])
        targets[rows, columns[rows, j]] = labels[rows, j]
    targets[centres[:, 0] < -0.5] = IGNORED
    return targets


def build(
    folder: Path, output: Path, *, chunks: int, seed: int, workers: int, pseudo_labels: Path | None = None
) -> list[Path]:
    """Write the chunks that are missing and return all of them.

    Args:
        folder: the data folder (holding `train/`).
        output: where the cache lives.
        chunks: how many files of 5,000 samples.
        seed: chunk i is drawn from `seed * 1000 + i`.
        workers: processes.
        pseudo_labels: file of `pseudo.build`.
    """
    output.mkdir(parents=True, exist_ok=True)
    names = [output / f"reader-{i:04d}.npz" for i in range(chunks)]
    jobs = [Job(folder, name, seed * 1000 + i, CHUNK, pseudo_labels) for i, name in enumerate(names)]
    missing = [job for job in jobs if not job.output.exists()]
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for done, future in enumerate(as_completed([pool.submit(_write, job) for job in missing]), 1):
            print(f"reader cache: {future.result().name} ({done}/{len(missing)})", flush=True)
    return [job.output for job in jobs]
