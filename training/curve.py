"""The operating curve: from which confidence a text is given, how many plates are answered, and how many of those right.

``python -m training.curve --data ../shared/data --out docs`` writes `operating-curve.svg` and prints the table for `docs/recognizer.md`.
Measured on degraded copies of the plate pictures that training never saw; the point in use stands in the models' manifest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.recognizer.pipeline import MODELS_FOLDER, Models
from services.recognizer.read import decode, softmax
from training.calibrate import calibration_error, held_back

SEED = 23
SHOWN = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 400, 60, 50
Point = tuple[float, float, float]  # threshold, share answered, share right of those


def points(confidences: Sequence[float], right: Sequence[bool], thresholds: Sequence[float]) -> list[Point]:
    """Share answered, and right of those answered, from each threshold on."""
    sure, hit = np.array(confidences), np.array(right, float)
    made = []
    for threshold in thresholds:
        given = sure >= threshold
        made.append((threshold, float(given.mean()), float(hit[given].mean()) if given.any() else 1.0))
    return made


def chart(curve: Sequence[Point], used: Point) -> str:
    """The curve as SVG: share answered across, share right of those up, the point in use marked."""
    low = min(0.5, *(right for _, _, right in curve)) if curve else 0.5

    def place(point: Point) -> tuple[float, float]:
        across, up = point[1], (point[2] - low) / (1 - low)
        return _LEFT + across * (_WIDTH - _LEFT - 20), _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - 20)

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, curve))
    x, y = place(used)
    grid, labels = [], []
    for share in np.arange(0, 1.01, 0.2):
        gx, _ = place((0, float(share), low))
        grid.append(f'<path d="M{gx:.0f} 20V{_HEIGHT - _BOTTOM}"/>')
        labels.append(f'<text x="{gx:.0f}" y="{_HEIGHT - 30}" text-anchor="middle">{share:.0%}</text>')
    for share in np.linspace(low, 1, 6):
        _, gy = place((0, 0, float(share)))
        grid.append(f'<path d="M{_LEFT} {gy:.0f}H{_WIDTH - 20}"/>')
        labels.append(f'<text x="{_LEFT - 8}" y="{gy + 4:.0f}" text-anchor="end">{share:.0%}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/><g stroke="#ddd">{"".join(grid)}</g>{"".join(labels)}'
        f'<polyline points="{line}" fill="none" stroke="#1f5f8b" stroke-width="2"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#b4443c"/>'
        f'<text x="{x - 8:.0f}" y="{y + 20:.0f}" text-anchor="end">in use: from {used[0]:g} on, {used[1]:.0%} answered, {used[2]:.0%} right</text>'
        f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">plates that are answered</text>'
        f'<text transform="translate(14 {_HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">right of those</text></svg>\n'
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.curve", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS_FOLDER, help="folder with manifest.json")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds train/")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where the chart is written")
    options = parser.parse_args()
    models = Models.load(options.models)
    logits, texts = held_back(models.reader, options.data, SEED)
    readings = [decode(columns) for columns in softmax(logits, models.limits.temperature)]
    sure = [r.confidence for r in readings]
    right = [r.text == t for r, t in zip(readings, texts, strict=True)]
    (used,) = points(sure, right, [models.limits.readable])
    curve = points(sure, right, [float(t) for t in np.arange(0, 0.995, 0.01)])
    (options.out / "operating-curve.svg").write_text(chart(curve, used), "utf-8")
    print(
        f"models {models.version}: {len(texts)} crops, calibration error {calibration_error(sure, right):.3f}"
    )
    print("| given from | answered | right of those |\n|---|---|---|")
    for threshold, answered, share in points(sure, right, SHOWN):
        print(f"| {threshold:g} | {answered:.1%} | {share:.1%} |")


if __name__ == "__main__":
    main()
