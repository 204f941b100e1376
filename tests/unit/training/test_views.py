"""Labels move with the picture, and what is not labelled is not learnt as absent."""

import random

import cv2
import numpy as np
import pytest

from training import targets, views
from training.data import Box, Photo, Plate, Vehicle

CORNERS = (200, 150, 300, 160, 298, 210, 198, 200)
PLATE = Plate((198, 150, 300, 210), CORNERS)
VEHICLE = Vehicle((120, 40, 400, 280), 0, sure=True)


@pytest.fixture
def photo(tmp_path):
    image = np.full((360, 480, 3), 90, np.uint8)
    cv2.fillPoly(image, [np.array(CORNERS, np.int32).reshape(4, 2)], (255, 255, 255))
    path = tmp_path / "p.png"
    cv2.imwrite(str(path), image)
    return Photo(path, "test", "train", (PLATE,), True, (VEHICLE,), True)


@pytest.mark.parametrize("seed", range(25))
def test_corners_follow_the_plate(photo, seed):
    view = views.take(photo, (320, 320), random.Random(seed))
    for target in view.plates:
        if target.visible < 0.999:
            continue
        mask = np.zeros(view.image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(target.corners).astype(np.int32)], 1)
        if mask.sum() < 200:
            continue
        assert view.image[mask > 0].mean() > 215
        top = target.corners[[0, 1], 1].mean()
        assert top < target.corners[[2, 3], 1].mean()
        assert target.corners[0, 0] < target.corners[1, 0]


def test_unlabelled_kinds_are_marked_unknown(photo):
    partly = Photo(photo.path, "test", "train", (), False, photo.vehicles, True)
    view = views.take(partly, (320, 320), random.Random(1))
    assert view.plates_unknown == [v.box for v in view.vehicles]
    assert view.vehicles_unknown == []
    nothing = Photo(photo.path, "test", "train", photo.plates, True, (), False)
    view = views.take(nothing, (320, 320), random.Random(1))
    assert view.plates_unknown == []
    assert view.vehicles_unknown == [(0.0, 0.0, 320.0, 320.0)]


def test_a_target_cut_off_at_the_border_knows_its_visible_share():
    cut = views.clipped(views.Target((-10, 0, 10, 10)), 320, 320)
    assert cut.box == (0, 0, 10, 10)
    assert cut.visible == pytest.approx(0.5)
    assert views.clipped(views.Target((-10, 0, -1, 10)), 320, 320) is None


def test_plate_maps_hold_what_decoding_gives_back():
    """The map's targets, put through the recognizer's decoding, are the labels."""
    from services.recognizer.detect import CORNER_SCALE, decode_plates

    corners = np.array([[100, 100], [180, 110], [178, 150], [98, 140]], np.float32)
    target = views.Target((98, 100, 180, 150), corners=corners)
    view = views.View(np.zeros((320, 320, 3), np.uint8), plates=[target])
    fields = targets.plate_map(view)
    at = fields[0] >= 0.999
    assert at.sum() == 1
    output = np.full((13, 40, 40), -9.0, np.float32)
    output[0, at] = 5
    output[1:5, at] = np.log(fields[3:7, at] / targets.PLATE_STRIDE)
    output[5:13, at] = fields[8:16, at] * CORNER_SCALE
    boxes, decoded, _ = decode_plates(output, 0.3)
    assert boxes[0] == pytest.approx(target.box, abs=0.1)
    assert decoded[0] == pytest.approx(corners, abs=0.1)


def test_vehicle_maps_ignore_what_is_unsure():
    unsure = views.Target((40, 40, 200, 160), kind=0, sure=False)
    fields = targets.vehicle_map(views.View(np.zeros((320, 320, 3), np.uint8), vehicles=[unsure]), 16)
    assert fields[0].max() == 0
    assert fields[1].sum() > 0
    assert fields[2].max() == 0


@pytest.mark.parametrize(
    ("box", "shown"), [((40, 40, 60, 58), (8,)), ((40, 40, 85, 75), (16, 8)), ((40, 40, 200, 160), (16,))]
)
def test_each_vehicle_is_on_the_maps_for_its_size_and_decodes_to_its_box(box: Box, shown: tuple[int, ...]):
    """Far ones on the fine map, near ones on the coarse, in between on both; the recognizer's decoding gives the label back."""
    from services.recognizer.detect import VEHICLE_STRIDES, decode_vehicles

    view = views.View(np.zeros((320, 320, 3), np.uint8), vehicles=[views.Target(box, kind=2)])
    assert (
        tuple(2 * stride for stride in VEHICLE_STRIDES) == targets.VEHICLE_STRIDES
    )  # the network's picture is half of it
    for stride in targets.VEHICLE_STRIDES:
        fields = targets.vehicle_map(view, stride)
        at = fields[0] >= 0.999
        assert at.sum() == (stride in shown)
        if stride in shown:
            output = np.full((9, *at.shape), -9.0, np.float32)
            output[0, at], output[7, at] = 5, 5
            output[1:5, at] = np.log(np.maximum(fields[3:7, at], 1) / stride)
            boxes, kinds, _ = decode_vehicles(output, 0.3, stride)
            assert boxes[0] == pytest.approx(box, abs=1)
            assert kinds[0].argmax() == 2


def test_a_near_vehicle_is_nothing_on_the_fine_map_and_a_far_one_undecided_on_the_coarse():
    near, far = views.Target((40, 40, 200, 160), kind=0), views.Target((240, 40, 262, 60), kind=0)
    view = views.View(np.zeros((320, 320, 3), np.uint8), vehicles=[near, far])
    assert targets.vehicle_map(view, 8)[1].max() == 0
    assert targets.vehicle_map(view, 16)[1].sum() > 0


def test_a_plate_put_into_a_picture_lies_on_its_corners():
    rng = random.Random(3)
    from scenes.plate import PlateStyle, render_plate

    plate = render_plate(rng, PlateStyle("us", clean=True), "AB1234")
    image = np.full((200, 300, 3), 120, np.uint8)
    corners = targets.quad(150, 100, 120, 60, 0.05, rng)
    assert targets.put_plate(image, plate, corners, rng)
    changed = np.abs(image.astype(int) - 120).max(2) > 3
    assert changed[80:120, 110:190].mean() > 0.7
    assert not changed[:40].any()
    assert not targets.put_plate(image, plate, corners + 1000, rng)
