"""Nothing that leaves the pipeline can show or name a person."""

import dataclasses
import re

import numpy as np
import pytest

from scenes.street import render_scene
from services.recognizer import detect, results
from services.recognizer.crops import GLASS_BAND, MASK_GREY, plate_crop, vehicle_crop
from services.recognizer.results import PlateRead, VehicleRead

ABOUT_PEOPLE = re.compile(
    r"person|people|face|gender|race|ethnic|driver|occupant|passenger|pedestrian|age\b|skin", re.IGNORECASE
)


def vehicle(box, kind="car"):
    return VehicleRead(box, kind, 0.9, "red", 0.8)


@pytest.mark.req("R-REC-2")
def test_no_field_and_no_class_is_about_people():
    names = [
        f.name
        for kind in (results.PlateRead, results.VehicleRead, results.Recognition)
        for f in dataclasses.fields(kind)
    ]
    assert names
    for name in [*names, *detect.VEHICLE_CLASSES]:
        assert not ABOUT_PEOPLE.search(name), name


@pytest.mark.req("R-REC-3")
@pytest.mark.parametrize("kind", [*detect.VEHICLE_CLASSES, "anything else"])
def test_the_glass_band_of_a_vehicle_crop_is_masked(kind):
    image = np.random.default_rng(1).integers(120, 255, (200, 300, 3), dtype=np.uint8)
    crop = vehicle_crop(image, vehicle((40, 20, 120, 100), kind))
    band = round(100 * GLASS_BAND.get(kind, max(GLASS_BAND.values())))
    assert crop.shape == (100, 120, 3)
    assert (crop[:band] == MASK_GREY).all()
    assert (crop[band + 1 :] == image[20 + band + 1 : 120, 40:160]).all()


@pytest.mark.req("R-REC-3")
def test_the_glass_of_a_neighbour_in_the_crop_is_masked_too():
    image = np.full((200, 300, 3), 250, np.uint8)
    mine, other = vehicle((0, 0, 150, 150)), vehicle((100, 90, 150, 100))
    crop = vehicle_crop(image, mine, [mine, other])
    assert (crop[92:140, 102:148] == MASK_GREY).all()
    assert (crop[92:140, 5:95] == 250).all()


@pytest.mark.req("R-REC-3")
def test_generated_vehicles_show_no_glass_after_masking():
    """The drawing's glass is the only dark bluish area above the body: none of its pixels may be left."""
    scene = render_scene(2, size=(640, 360))
    for each in scene.vehicles:
        read = vehicle(each.box, each.type)
        crop = vehicle_crop(scene.image, read)
        assert (crop[: int(crop.shape[0] * 0.5)] == MASK_GREY).all()


@pytest.mark.req("R-REC-3")
def test_crops_are_copies_so_that_the_frame_can_be_freed():
    image = np.zeros((100, 100, 3), np.uint8)
    plate = PlateRead("A", 1.0, (), (), (10, 10, 40, 20), np.zeros((4, 2), np.float32), 1.0, readable=True)
    for crop in (plate_crop(image, plate), vehicle_crop(image, vehicle((0, 0, 100, 100)))):
        assert crop.base is None
        assert crop.nbytes <= image.nbytes
    assert plate_crop(image, plate).shape == (24, 48, 3)


def test_boxes_beyond_the_picture_are_clipped():
    image = np.zeros((50, 60, 3), np.uint8)
    assert vehicle_crop(image, vehicle((-20, -10, 500, 400))).shape == (50, 60, 3)
