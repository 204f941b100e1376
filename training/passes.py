"""Reads of vehicles that pass a camera: ``python -m training.passes`` follows generated clips as the service follows a camera.

One read a pass: precision is the share of sightings that are the only one of a pass, recall the share of passes that have one. Text: the share
of passes whose fused text is right, beside the share of single frames right, of those frames in which a text was given.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2

from scenes.clip import Clip, ClipPass
from scenes.weather import CONDITIONS, Condition
from services.recognizer.pipeline import Pipeline
from services.recognizer.results import Image, Recognition
from services.recognizer.session import Frame, Session
from training.evaluate import folded

FPS, JPEG_QUALITY = 5.0, 90
START = datetime(2026, 5, 4, 12, tzinfo=UTC)
GAP, LONGEST = timedelta(seconds=1.5), timedelta(seconds=20)


@dataclass
class Passes:
    """Counts over clips."""

    passes: int = 0
    met: int = 0
    sightings: int = 0
    right: int = 0
    frames: int = 0
    frames_right: int = 0

    def row(self) -> dict[str, float]:
        """The measures, rounded."""
        return {
            "passes": self.passes,
            "precision": round(self.met / max(1, self.sightings), 4),
            "recall": round(self.met / max(1, self.passes), 4),
            "fused": round(self.right / max(1, self.passes), 4),
            "single_frame": round(self.frames_right / max(1, self.frames), 4),
        }

    def __add__(self, other: Passes) -> Passes:
        """Both together."""
        return Passes(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


class _Noting:
    """A pipeline that remembers what it read in the last picture."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.model_version = pipeline.model_version
        self.texts: list[str] = []

    def recognize(self, image: Image) -> Recognition:
        found = self._pipeline.recognize(image)
        self.texts = [folded(p.text) for p in found.plates if p.readable]
        return found


def _pass_at(clip: Clip, number: float) -> ClipPass | None:
    return next((p for p in clip.passes if p.first <= number <= p.last), None)


def follow(pipeline: Pipeline, clip: Clip) -> Passes:
    """Follow one clip from its first to its last frame."""
    noting, counts = _Noting(pipeline), Passes(passes=len(clip.passes))
    session = Session("clip", noting, gap=GAP, longest=LONGEST)  # type: ignore[arg-type]
    sightings = []
    for number, image in enumerate(clip):
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        at = START + timedelta(seconds=number / clip.fps)
        sightings += session.step(Frame(number + 1, at, packed.tobytes())).sightings
        shown = _pass_at(clip, number)
        if shown is not None and noting.texts:
            counts.frames += 1
            counts.frames_right += folded(shown.text) in noting.texts
    sightings += session.end(len(clip)).sightings
    by_pass: Counter[int] = Counter()
    for each in sightings:
        seconds = (each.seen_at.ToDatetime(UTC) - START).total_seconds()
        shown = _pass_at(clip, round(seconds * clip.fps))
        if shown is None:
            continue
        by_pass[shown.first] += 1
        counts.right += by_pass[shown.first] == 1 and folded(each.plate.text) == folded(shown.text)
    counts.sightings, counts.met = len(sightings), len(by_pass)
    return counts


def measure(pipeline: Pipeline, *, seeds: range, passes: int, condition: Condition) -> Passes:
    """Follow clips of one condition."""
    total = Passes()
    for seed in seeds:
        total += follow(pipeline, Clip(seed, fps=FPS, passes=passes, condition=condition))
    return total


def main() -> None:
    """Command line: a row for each condition and one for all."""
    parser = argparse.ArgumentParser(prog="python -m training.passes", description=__doc__)
    parser.add_argument("--models", type=Path, help="folder with manifest.json")
    parser.add_argument("--clips", type=int, default=10, help="clips of each condition")
    parser.add_argument("--passes", type=int, default=4, help="vehicles in a clip")
    options = parser.parse_args()
    pipeline, total = Pipeline.load(options.models), Passes()
    for condition in CONDITIONS:
        counts = measure(pipeline, seeds=range(options.clips), passes=options.passes, condition=condition)
        total += counts
        print(f"{condition:6}", counts.row(), flush=True)
    print("all   ", total.row())


if __name__ == "__main__":
    main()
