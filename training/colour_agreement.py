"""How often the recognizer names a vehicle's colour as a person does: ``python -m training.colour_agreement --data ../shared/data``.

`colours.csv` holds what was seen on 200 vehicles of the valid part (image, index of the vehicle's label, colour; empty where nobody could
tell: infrared, night, several colours). Two readers who did not know of each other agreed on 0.90 of those that both named; of the others a third look
decided, or left them open. The photographs themselves stay in the data folder.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np

from services.recognizer.engine import Engine
from services.recognizer.pipeline import MODELS_FOLDER, Models
from services.recognizer.vehicle import ColourReader
from training import data

LABELS = Path(__file__).parent / "colours.csv"
# Where grey ends and silver begins is a matter of light: agreement is also given with the two as one.
ALIKE = {"silver": "gray"}


def agreement(folder: Path, reader: ColourReader) -> tuple[int, float, float, Counter[tuple[str, str]]]:
    """Return vehicles compared, share that agrees, the same with grey and silver as one, and what was called what instead."""
    photos = {photo.path.name: photo for photo in data.photos(folder, "valid")}
    same = alike = count = 0
    others: Counter[tuple[str, str]] = Counter()
    with LABELS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["colour"]:
                continue
            photo, seen = photos[row["image"]], row["colour"]
            box = np.array(photo.vehicles[int(row["vehicle"])].box, np.float32)
            ((named, _),) = reader.read(photo.load(), [box])
            count += 1
            same += named == seen
            alike += ALIKE.get(named, named) == ALIKE.get(seen, seen)
            if named != seen:
                others[seen, named] += 1
    return count, same / max(1, count), alike / max(1, count), others


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.colour_agreement", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds train/")
    parser.add_argument("--models", type=Path, default=MODELS_FOLDER, help="folder with manifest.json")
    options = parser.parse_args()
    models = Models.load(options.models)
    reader = ColourReader(Engine(models.files["colour"]), temperature=models.limits.colour_temperature)
    count, same, alike, others = agreement(options.data, reader)
    print(f"{count} vehicles: {same:.1%} as seen by a person, {alike:.1%} with grey and silver as one")
    for (seen, named), times in others.most_common(8):
        print(f"  {seen} called {named}: {times}")


if __name__ == "__main__":
    main()
