"""What may leave the process of a frame: the plate, and the vehicle with every glass area masked (R-REC-3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.recognizer.results import BoxXYWH, Image, PlateRead, VehicleRead

PLATE_MARGIN = 0.1  # of the plate's width and height
MASK_GREY = 96
# Share of a vehicle's height, from the top, in which occupants can be seen. A motorcycle's rider sits on it.
GLASS_BAND = {"car": 0.55, "truck": 0.6, "bus": 0.72, "motorcycle": 0.75}
WIDEST_BAND = max(GLASS_BAND.values())


def _pixels(box: BoxXYWH, image: Image, margin: float = 0.0) -> tuple[int, int, int, int]:
    """Box to whole pixels x1, y1, x2, y2 inside the picture."""
    x, y, w, h = box
    rows, columns = image.shape[:2]
    x1, y1 = max(0, int(x - margin * w)), max(0, int(y - margin * h))
    x2, y2 = min(columns, int(np.ceil(x + w + margin * w))), min(rows, int(np.ceil(y + h + margin * h)))
    return x1, y1, max(x1 + 1, x2), max(y1 + 1, y2)


def plate_crop(image: Image, plate: PlateRead) -> Image:
    """The plate with a narrow margin, a copy."""
    x1, y1, x2, y2 = _pixels(plate.box, image, PLATE_MARGIN)
    return image[y1:y2, x1:x2].copy()


def vehicle_crop(image: Image, vehicle: VehicleRead, others: Sequence[VehicleRead] = ()) -> Image:
    """The vehicle with its glass band masked, a copy of exactly its box.

    Args:
        image: the frame.
        vehicle: whose crop.
        others: all vehicles of the frame; the glass of those that reach into the crop is masked too.
    """
    x1, y1, x2, y2 = _pixels(vehicle.box, image)
    crop = image[y1:y2, x1:x2].copy()
    for each in (vehicle, *others):
        left, top, right, bottom = _pixels(each.box, image)
        # Rounded up: a row that shows a sliver of glass belongs to the band.
        glass = top + int(np.ceil((bottom - top) * GLASS_BAND.get(each.type, WIDEST_BAND)))
        rows, columns = (
            slice(max(0, top - y1), max(0, glass - y1)),
            slice(max(0, left - x1), max(0, right - x1)),
        )
        crop[rows, columns] = MASK_GREY
    return crop
