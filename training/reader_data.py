"""The reader's training cache: chunks of rendered crops, written by several processes, resumable by file."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scenes.glyphs import ALPHABET
from training import data
from training.crops import HEIGHT, WIDTH, CropMaker, Sample

CHUNK = 5000  # samples a file
LONGEST = 10  # characters
REAL_SHARE = 0.1  # of the samples come from labelled pictures of plates
RENEW_STYLES_EVERY = 2000
BACKGROUNDS = 80


@dataclass(frozen=True)
class Job:
    """One chunk to write. Equal jobs write equal files."""

    folder: Path
    output: Path
    seed: int
    samples: int


def _write(job: Job) -> Path:
    cv2.setNumThreads(1)
    maker = CropMaker(job.seed, data.font_files(job.folder), _backgrounds(job.folder, job.seed))
    pictures = list(data.plate_pictures(job.folder))
    crops = np.zeros((job.samples, HEIGHT, WIDTH), np.uint8)
    labels = np.zeros((job.samples, LONGEST), np.uint8)
    centres = np.full((job.samples, LONGEST), -1, np.float16)
    i = 0
    while i < job.samples:
        if i % RENEW_STYLES_EVERY == RENEW_STYLES_EVERY - 1:
            maker.pool.renew(maker.rng)
        sample = _draw(maker, pictures)
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


def _draw(maker: CropMaker, pictures: list[tuple[npt.NDArray[np.uint8], str]]) -> Sample:
    if pictures and maker.rng.random() < REAL_SHARE:
        return maker.from_photo(*maker.rng.choice(pictures))
    return maker.synthetic()


def _backgrounds(folder: Path, seed: int) -> list[npt.NDArray[np.uint8]]:
    chosen = np.random.default_rng(seed).permutation(np.array(data.photos(folder, "train"), dtype=object))
    greys = (cv2.cvtColor(p.load(), cv2.COLOR_BGR2GRAY) for p in chosen[:BACKGROUNDS])
    return [cv2.resize(g, (960, 540), interpolation=cv2.INTER_LINEAR) for g in greys]


def build(folder: Path, output: Path, *, chunks: int, seed: int, workers: int) -> list[Path]:
    """Write the chunks that are missing and return all of them.

    Args:
        folder: the data folder (holding `train/`).
        output: where the cache lives.
        chunks: how many files of 5,000 samples.
        seed: chunk i is drawn from `seed * 1000 + i`.
        workers: processes.
    """
    output.mkdir(parents=True, exist_ok=True)
    jobs = [Job(folder, output / f"reader-{i:04d}.npz", seed * 1000 + i, CHUNK) for i in range(chunks)]
    missing = [job for job in jobs if not job.output.exists()]
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for done, future in enumerate(as_completed([pool.submit(_write, job) for job in missing]), 1):
            print(f"reader cache: {future.result().name} ({done}/{len(missing)})", flush=True)
    return [job.output for job in jobs]
