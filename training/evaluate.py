"""Measure a pair of models: plate reading on the benchmark folders, detection on the kept-apart photographs.

Predictions are written in the format of the project's plate scorer, and the same measures are computed here, so that a
training run can report without it. `folded` equates O with 0 and I with 1.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from services.recognizer.decode import decode
from services.recognizer.detect import Detector, VehicleBox, overlaps
from services.recognizer.engine import Engine
from services.recognizer.pipeline import MODELS_FOLDER, Models, Pipeline
from services.recognizer.results import BoxXYWH, PlateRead, Recognition
from training import data

FOLD = str.maketrans("OI", "01")
LEAST_OVERLAP = 0.3
AP_OVERLAP = 0.5
LEAST_SCORE = 0.03
Row = dict[str, Any]


def folded(text: str) -> str:
    """Upper case, A-Z and 0-9 only, with O as 0 and I as 1."""
    return "".join(c for c in text.upper() if c.isascii() and c.isalnum()).translate(FOLD)


@dataclass
class Tally:
    """Counts over a folder."""

    plates: int = 0
    right: int = 0
    listed: int = 0
    found: int = 0
    false: int = 0
    images: int = 0
    milliseconds: list[float] = field(default_factory=list)
    misses: list[tuple[str, str, str]] = field(default_factory=list)

    def report(self) -> dict[str, float]:
        """The measures, rounded."""
        n, images = max(1, self.plates), max(1, self.images)
        return {
            "images": self.images,
            "plates": self.plates,
            "folded": round(self.right / n, 4),
            "top10_folded": round(self.listed / n, 4),
            "recall": round(self.found / n, 4),
            "false_reads_per_image": round(self.false / images, 4),
            "ms_median": round(statistics.median(self.milliseconds), 1) if self.milliseconds else 0.0,
        }


def _xyxy(box: BoxXYWH) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def _overlap(a: BoxXYWH, b: BoxXYWH) -> float:
    return float(overlaps(np.array(_xyxy(a), np.float32), np.array([_xyxy(b)], np.float32))[0])


def prediction(name: str, recognition: Recognition, milliseconds: float) -> Row:
    """One picture in the scorer's format. Only readable plates are reads."""
    plates = [
        {
            "text": p.text,
            "box": list(p.box),
            "confidence": p.confidence,
            "candidates": [c for c, _ in p.candidates],
        }
        for p in recognition.plates
        if p.readable
    ]
    return {"image": name, "plates": plates, "ms": round(milliseconds, 2)}


def tally_image(
    tally: Tally, name: str, plates: tuple[PlateRead, ...], truth: list[tuple[str, BoxXYWH | None]]
) -> None:
    """Count one picture. A truth without box is met by the best readable plate anywhere."""
    reads = [p for p in plates if p.readable]
    tally.images += 1
    for text, box in truth:
        want = folded(text)
        hits = reads if box is None else [p for p in reads if _overlap(p.box, box) >= LEAST_OVERLAP]
        tally.plates += 1
        tally.found += bool(hits)
        right = any(folded(p.text) == want for p in hits)
        tally.right += right
        tally.listed += any(folded(c) == want for p in hits for c, _ in p.candidates)
        if not right:
            tally.misses.append((name, text, hits[0].text if hits else ""))
    boxes = [box for _, box in truth if box is not None]
    if boxes:
        tally.false += sum(all(_overlap(p.box, b) == 0 for b in boxes) for p in reads)


def _truth(folder: Path) -> dict[str, list[tuple[str, BoxXYWH | None]]]:
    if (folder / "truth.jsonl").exists():
        rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text("utf-8").splitlines()]
        return {r["image"]: [(p["text"], tuple(p["box"])) for p in r["plates"]] for r in rows}
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["image"]: [(row["text"], None)] for row in csv.DictReader(file)}


def read_folder(pipeline: Pipeline, folder: Path, predictions: Path | None = None) -> Tally:
    """Read a benchmark folder; writes predictions for the scorer where a file is named."""
    tally, rows = Tally(), []
    for name, truth in _truth(folder).items():
        encoded = (folder / name).read_bytes()
        started = time.perf_counter()
        recognition = pipeline.recognize(decode(encoded))
        elapsed = (time.perf_counter() - started) * 1000
        tally.milliseconds.append(elapsed)
        tally_image(tally, name, recognition.plates, truth)
        rows.append(prediction(name, recognition, elapsed))
    if predictions:
        predictions.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return tally


def average_precision(scored: list[tuple[float, bool]], positives: int) -> float:
    """Area under the precision-recall curve (all points, precision made monotone)."""
    if not positives or not scored:
        return 0.0
    hits = np.array([hit for _, hit in sorted(scored, key=lambda s: -s[0])])
    recall = np.cumsum(hits) / positives
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * envelope))


def detection(models: Models, photos: list[data.Photo]) -> dict[str, float]:
    """Plate recall and vehicle AP (any class) at an overlap of 0.5 on completely labelled photographs.

    Plates count from the shipped threshold on; the vehicles' whole precision-recall curve is taken.
    """
    limits = models.limits
    vehicle_engine = Engine(models.files["vehicles"]) if "vehicles" in models.files else None
    detector = Detector(
        Engine(models.detector),
        vehicle_engine,
        plate_threshold=limits.plate,
        vehicle_threshold=LEAST_SCORE,
    )
    plates = found = vehicles = 0
    scored: list[tuple[float, bool]] = []
    right_class: list[bool] = []
    for photo in photos:
        got_plates, got_vehicles = detector.detect(photo.load())
        if photo.plates_complete:
            got = np.array([p.box for p in got_plates], np.float32).reshape(-1, 4)
            plates += len(photo.plates)
            found += sum(
                bool((overlaps(np.array(p.box, np.float32), got) >= AP_OVERLAP).any()) for p in photo.plates
            )
        if photo.vehicles_complete:
            vehicles += len(photo.vehicles)
            pairs = _matched(got_vehicles, photo)
            scored += [(score, label is not None) for score, label in pairs]
            shown = [
                (v, label)
                for v, (_, label) in zip(got_vehicles, pairs, strict=True)
                if label and label.kind >= 0
            ]
            right_class += [
                data.VEHICLE_CLASSES.index(v.kind) == label.kind
                for v, label in shown
                if v.score >= limits.vehicle
            ]
    return {
        "plates": plates,
        "plate_recall_50": round(found / max(1, plates), 4),
        "vehicles": vehicles,
        "vehicle_ap50": round(average_precision(scored, vehicles), 4),
        "vehicle_class_right": round(sum(right_class) / max(1, len(right_class)), 4),
    }


def _matched(found: list[VehicleBox], photo: data.Photo) -> list[tuple[float, data.Vehicle | None]]:
    """Each detected vehicle's score and the label that it meets and no better one has taken."""
    labels = np.array([v.box for v in photo.vehicles], np.float32).reshape(-1, 4)
    taken = np.zeros(len(labels), bool)
    pairs: list[tuple[float, data.Vehicle | None]] = []
    for vehicle in found:
        shares = np.where(taken, 0, overlaps(vehicle.box, labels))
        if len(labels) and shares.max() >= AP_OVERLAP:
            best = int(shares.argmax())
            taken[best] = True
            pairs.append((vehicle.score, photo.vehicles[best]))
        else:
            pairs.append((vehicle.score, None))
    return pairs


def report(models_folder: Path, folder: Path, output: Path | None = None) -> dict[str, Any]:
    """Everything that can be measured with the data folder."""
    pipeline = Pipeline.load(models_folder)
    result: dict[str, Any] = {"model_version": pipeline.model_version}
    for name in ("openalpr-us-dev", "openalpr-eu-dev", "us-closeups"):
        tally = read_folder(pipeline, folder / "bench" / name, output / f"{name}.jsonl" if output else None)
        result[name] = tally.report()
        if output:
            lines = ("\t".join(miss) + "\n" for miss in tally.misses)
            (output / f"{name}.misses.tsv").write_text("".join(lines), "utf-8")
        print(name, result[name], flush=True)
    result["detection"] = detection(Models.load(models_folder), data.photos(folder, "valid"))
    print("detection", result["detection"], flush=True)
    return result


def main() -> int:
    """Command line: measure a models folder; 2 where the data folder is missing."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS_FOLDER, help="folder with manifest.json")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder that holds train/ and bench/"
    )
    parser.add_argument("--out", type=Path, help="where predictions and misses are written")
    options = parser.parse_args()
    if not (options.data / "bench").exists():
        print(
            f"no photographs in {options.data}: name the folder that holds bench/ with --data",
            file=sys.stderr,
        )
        return 2
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(report(options.models, options.data, options.out), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
