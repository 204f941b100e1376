"""``make wrong-stops``: how many of the hits are the vehicle looked for, at the prevalence of real traffic.

The reader's confusion is measured first, on generated plates made small, blurred and noisy; then 100,000 reads are drawn by
it: of vehicles that no list has, and one listed vehicle in 75,000 (Pulaski County: 19 of 1,422,898 reads). One listed
vehicle says little about recall, so listed vehicles are drawn besides, and precision is told at that prevalence.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter

import cv2
import numpy as np

from plates.index import PlateIndex
from plateward.reads.v1 import read_pb2
from scenes.plate import PlateStyle, render_plate
from services.hotlist.matching import find
from services.hotlist.settings import HotlistSettings
from services.recognizer.engine import Engine
from services.recognizer.pipeline import MODELS_FOLDER, Models
from services.recognizer.read import Reader
from services.recognizer.rectify import rectify
from tests.load.bench_hotlist import plate
from tests.unit.hotlist.builders import read as made_read

PREVALENCE = 1 / 75_000
DEFAULT = float(HotlistSettings.model_fields["match_min_weight"].default)
EXACT = 2.0  # above every look-alike's weight
LEAST = (EXACT, 0.3, 0.1, DEFAULT, 0.01)
Outcomes = dict[str, list[tuple[str, float]]]


def measured(plates: int, seed: int) -> tuple[Outcomes, Counter[str]]:
    """Read generated plates; return what each character was read as with which confidence, and how the reads went."""
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    models = Models.load(MODELS_FOLDER)
    reader = Reader(Engine(models.reader, threads=1, name="reader"), temperature=models.limits.temperature)
    outcomes: Outcomes = {}
    went: Counter[str] = Counter()
    for _ in range(plates // 16):
        crops, texts = [], []
        for _ in range(16):
            drawn = render_plate(rng, PlateStyle(region="us"), plate(rng))
            picture = cv2.copyMakeBorder(drawn.colour(), 40, 40, 40, 40, cv2.BORDER_REPLICATE)
            corners = drawn.corners + 40
            scale = rng.uniform(38, 120) / float(np.linalg.norm(corners[1] - corners[0]))
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 1.2))
            grain = noise.normal(0, rng.uniform(2, 14), small.shape)
            small = np.clip(small.astype(np.float32) + grain, 0, 255).astype(np.uint8)
            crops.append(rectify(small, (corners * scale).astype(np.float32)))
            texts.append(drawn.text)
        for text, reading in zip(texts, reader.read(crops), strict=True):
            if len(reading.text) != len(text):
                went["other length"] += 1
                continue
            went["exact" if reading.text == text else "substituted"] += 1
            for true, (seen, sure) in zip(text, reading.characters, strict=True):
                outcomes.setdefault(true, []).append((seen, sure))
    return outcomes, went


def weighed(index: PlateIndex, read: read_pb2.Read) -> dict[str, float]:
    """Return the plates of the index that a read may stand for with their weights; `EXACT` for the text itself."""
    found = find(index, read, min(LEAST))
    return {way.plate: EXACT if way.kind == "exact" else way.weight for way in found.values()}


def main() -> int:
    """Measure, draw, count; return 0 when a listed vehicle is found more often by tolerant matching."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plates", type=int, default=2_000, help="generated plates that the reader reads")
    parser.add_argument("--reads", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--listed", type=int, default=5_000, help="reads of listed vehicles for recall")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    outcomes, went = measured(given.plates, given.seed)
    total = sum(went.values())
    print(
        f"reader on {total:,} generated plates: "
        + ", ".join(f"{k} {v / total:.2%}" for k, v in sorted(went.items()))
    )
    pairs = Counter((t, s) for t, seen in outcomes.items() for s, _ in seen if s != t)
    print("most confused: " + ", ".join(f"{t} as {s} {n}" for (t, s), n in pairs.most_common(12)))
    rng = random.Random(given.seed)
    listed = list({plate(rng) for _ in range(given.entries)})
    index, held = PlateIndex(listed), set(listed)

    def draw(true: str):
        seen = [rng.choice(outcomes.get(character) or [(character, 0.99)]) for character in true]
        return made_read("".join(c for c, _ in seen), confidences=[sure for _, sure in seen])

    counts: Counter[str] = Counter()
    wrong: Counter[float] = Counter()
    for number in range(given.reads):
        is_listed = number % round(1 / PREVALENCE) == 0
        true = rng.choice(listed) if is_listed else plate(rng)
        if not is_listed and true in held:
            continue
        weights = weighed(index, draw(true))
        counts["reads"] += 1
        counts["true"] += is_listed
        counts["right"] += is_listed and true in weights
        surest = max((weight for found, weight in weights.items() if found != true), default=0.0)
        wrong.update(least for least in LEAST if surest >= least)
    recalled: Counter[float] = Counter()
    for _ in range(given.listed):
        true = rng.choice(listed)
        weight = weighed(index, draw(true)).get(true, 0.0)
        recalled.update(least for least in LEAST if weight >= least)
    print(
        f"\n{counts['reads']:,} reads, {len(listed):,} entries, {counts['true']} reads of listed vehicles (1 in {1 / PREVALENCE:,.0f}), {counts['right']} found"
    )
    print(f"{'':38}{'wrong hits':>12}{'a read':>10}{'recall':>10}{'precision at 1:75,000':>24}")
    for least in LEAST:
        share, recall = wrong[least] / counts["reads"], recalled[least] / given.listed
        right = PREVALENCE * recall
        name = "exact" if least == EXACT else f"tolerant, least weight {least}"
        name += " (default)" if least == DEFAULT else ""
        print(
            f"{name:38}{wrong[least]:12,}{share:10.3%}{recall:10.2%}{right / (right + share) if right + share else 0:24.2%}"
        )
    print(
        "every one of them is unverified: a person compares picture and entry before anything may be done (test_wrong_stops.py)"
    )
    return 0 if recalled[DEFAULT] >= recalled[EXACT] else 1


if __name__ == "__main__":
    sys.exit(main())
