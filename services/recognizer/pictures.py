"""The only pictures that leave: JPEGs of a plate and of its vehicle with the glass masked (R-REC-3)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from plateward.common.v1 import types_pb2
from services.recognizer.crops import plate_crop, vehicle_crop
from services.recognizer.results import Image, PlateRead, VehicleRead
from services.recognizer.tracker import Seen

Picture = tuple[types_pb2.CropKind.ValueType, bytes]  # what it shows, JPEG
_QUALITY = 90


def plate_picture(image: Image, plate: PlateRead) -> Picture:
    """Return the picture of a plate."""
    return types_pb2.CROP_KIND_PLATE, jpeg(plate_crop(image, plate))


def vehicle_picture(image: Image, vehicle: VehicleRead, vehicles: Sequence[VehicleRead]) -> Picture:
    """Return the picture of a vehicle; the glass of all `vehicles` of the frame is masked."""
    return types_pb2.CROP_KIND_VEHICLE, jpeg(vehicle_crop(image, vehicle, vehicles))


def pictures_of(image: Image, seen: Seen, vehicles: Sequence[VehicleRead]) -> tuple[Picture, ...]:
    """Return the pictures of a plate and its vehicle."""
    plate = plate_picture(image, seen.plate)
    return (plate,) if seen.vehicle is None else (plate, vehicle_picture(image, seen.vehicle, vehicles))


def jpeg(image: Image) -> bytes:
    """Return a picture as JPEG, without metadata."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError("the picture cannot be encoded")
    return data.tobytes()
