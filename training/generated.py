"""Generated street scenes as detector photographs: every object labelled, every plate with true corners."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import cv2

from scenes.street import BoxXYWH, render_scene
from scenes.weather import CONDITIONS
from training.data import VEHICLE_CLASSES, Box, Photo, Plate, Vehicle

SIZE = (960, 540)
FIRST_SEED = 1_000_000  # far from the seeds that tests and demo use
JPEG_QUALITY = 90
LABELS = "labels.json"


def _xyxy(box: BoxXYWH) -> Box:
    return box[0], box[1], box[0] + box[2], box[1] + box[3]


def _write(folder: Path, index: int) -> Photo:
    scene = render_scene(FIRST_SEED + index, size=SIZE, condition=CONDITIONS[index % len(CONDITIONS)])
    path = folder / f"scene-{index:05d}.jpg"
    cv2.imwrite(str(path), scene.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    plates = tuple(Plate(_xyxy(p.box), tuple(float(v) for v in p.corners.ravel())) for p in scene.plates)
    vehicles = tuple(Vehicle(_xyxy(v.box), VEHICLE_CLASSES.index(v.type), sure=True) for v in scene.vehicles)
    # Hidden plates carry no label, so an unlabelled one may be in the picture.
    return Photo(
        path, "generated", "train", plates, len(plates) == len(vehicles), vehicles, vehicles_complete=True
    )


def _from_json(folder: Path) -> list[Photo]:
    photos = []
    for row in json.loads((folder / LABELS).read_text("utf-8")):
        plates = tuple(Plate(tuple(p["box"]), tuple(p["corners"])) for p in row["plates"])
        vehicles = tuple(Vehicle(tuple(v["box"]), v["kind"], v["sure"]) for v in row["vehicles"])
        complete = row["plates_complete"], row["vehicles_complete"]
        path = folder / row["path"]
        photos.append(Photo(path, row["source"], row["split"], plates, complete[0], vehicles, complete[1]))
    return photos


def build(folder: Path, *, count: int, workers: int) -> list[Photo]:
    """Write `count` scenes into `folder`, or load them if they are there, and return them as photographs."""
    if (folder / LABELS).exists():
        return _from_json(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(max_workers=workers) as pool:
        photos = list(pool.map(_write, [folder] * count, range(count), chunksize=20))
    rows = [asdict(photo) | {"path": photo.path.name} for photo in photos]
    # The labels come last: where they are, all pictures are.
    part = folder / "labels.part"
    part.write_text(json.dumps(rows), "utf-8")
    part.replace(folder / LABELS)
    return photos
