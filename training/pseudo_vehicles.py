"""Vehicles of photographs whose labels lack some: the first vehicle network and the public detector's boxes together.

What both or one of them is sure of is a vehicle, what one of them suspects is left open, and where neither sees any there is none: so
three times as many photographs teach the second stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from services.recognizer.detect import Detector, overlaps
from services.recognizer.engine import Engine
from training.data import VEHICLE_CLASSES, Photo, Vehicle

SURE, SUSPECTED = 0.5, 0.2  # scores of the network
SAME = 0.5  # overlap from which two boxes are one vehicle


def finder(plates: Path, vehicles: Path) -> Detector:
    """A detector of two ONNX files that gives all vehicles it suspects."""
    return Detector(
        Engine(plates.read_bytes()),
        Engine(vehicles.read_bytes()),
        plate_threshold=SURE,
        vehicle_threshold=SUSPECTED,
    )


def completed(photos: Iterable[Photo], detector: Detector) -> Iterator[Photo]:
    """Photographs with all vehicles, where the labels say that there may be more.

    Args:
        photos: any; those whose vehicles are complete are given as they are.
        detector: as `finder` gives it.
    """
    for photo in photos:
        if photo.vehicles_complete:
            yield photo
            continue
        labelled = list(photo.vehicles)
        for found in detector.detect(photo.load())[1]:
            boxes = np.array([v.box for v in labelled], np.float32).reshape(-1, 4)
            shares = overlaps(found.box, boxes)
            kind = VEHICLE_CLASSES.index(found.kind) if found.kind_confidence >= SURE else -1
            if len(boxes) and shares.max() >= SAME:
                known = labelled[best := int(shares.argmax())]
                sure = known.sure or found.score >= SURE
                labelled[best] = replace(known, sure=sure, kind=known.kind if known.kind >= 0 else kind)
            else:
                x1, y1, x2, y2 = (float(v) for v in found.box)
                labelled.append(Vehicle((x1, y1, x2, y2), kind, found.score >= SURE))
        yield replace(photo, vehicles=tuple(labelled), vehicles_complete=True)
