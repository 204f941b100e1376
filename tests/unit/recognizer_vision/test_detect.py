"""Decoding of the detector's maps, and the geometry of plates."""

import cv2
import numpy as np
import pytest

from services.recognizer import detect, rectify

PADDED = (640, 384)


def test_letterbox_keeps_the_shape_and_pads_right_and_bottom():
    image = np.full((100, 400, 3), 200, np.uint8)
    picture, scale = detect.letterbox(image, *PADDED)
    pixels = detect.as_input(picture)
    assert pixels.shape == (1, 3, 384, 640)
    assert scale == pytest.approx(1.6)
    assert pixels[0, :, 100, 300] == pytest.approx(200 / 255, abs=0.01)
    assert pixels[0, :, 300, 300] == pytest.approx(114 / 255, abs=0.01)


def plate_map(row, column, sides, corners=(0,) * 8, logit=3.0):
    output = np.full((13, 48, 80), -9.0, np.float32)
    output[0, row, column] = logit
    output[1:5, row, column] = np.log(np.array(sides) / detect.PLATE_STRIDE)
    output[5:13, row, column] = corners
    return output


def test_a_plate_is_decoded_to_pixels():
    boxes, corners, scores = detect.decode_plates(plate_map(10, 20, (30, 10, 50, 14)), 0.3)
    assert boxes == pytest.approx(np.array([[134, 74, 214, 98]], float), abs=0.01)
    assert corners[0] == pytest.approx(rectify.box_corners(boxes[0]), abs=0.01)
    assert scores == pytest.approx([1 / (1 + np.exp(-3))])


def test_corner_offsets_are_shares_of_the_box():
    shift = np.zeros(8)
    shift[1] = 0.25 * detect.CORNER_SCALE
    boxes, corners, _ = detect.decode_plates(plate_map(10, 20, (30, 10, 50, 14), shift), 0.3)
    assert corners[0, 0, 1] == pytest.approx(boxes[0, 1] + 0.25 * 24, abs=0.01)


def test_below_the_threshold_nothing_is_found():
    boxes, corners, scores = detect.decode_plates(plate_map(1, 1, (9, 9, 9, 9), logit=-2), 0.3)
    assert len(boxes) == len(corners) == len(scores) == 0
    assert detect.suppress(boxes, scores, 0.3) == []


def test_vehicle_classes_are_probabilities():
    output = np.full((9, 24, 40), -9.0, np.float32)
    output[:, 5, 5] = [2, 1, 1, 1, 1, 0, 3, 0, 0]
    _, kinds, _ = detect.decode_vehicles(output, 0.3, 16)
    assert kinds.sum() == pytest.approx(1)
    assert detect.VEHICLE_CLASSES[int(kinds[0].argmax())] == "truck"


def test_of_overlapping_boxes_the_best_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]], np.float32)
    assert detect.suppress(boxes, np.array([0.5, 0.9, 0.4], np.float32), 0.3) == [1, 2]


def test_a_part_of_a_better_box_goes_where_asked():
    boxes = np.array([[0, 0, 100, 100], [10, 10, 40, 40], [90, 90, 140, 140]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert detect.suppress(boxes, scores, 0.5) == [0, 1, 2]
    assert detect.suppress(boxes, scores, 0.5, part=0.8) == [0, 2]


def test_a_turned_plate_is_straightened():
    front = np.full((64, 160), 230, np.uint8)
    cv2.putText(front, "HELLO", (14, 46), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 20, 4)
    image = np.full((300, 400, 3), 60, np.uint8)
    corners = np.array([[120, 100], [280, 140], [270, 210], [110, 170]], np.float32)
    source = np.array([[0, 0], [160, 0], [160, 64], [0, 64]], np.float32)
    warped = cv2.warpPerspective(front, cv2.getPerspectiveTransform(source, corners), (400, 300))
    image[warped > 0] = warped[warped > 0][:, None]
    straight = rectify.rectify(image, corners).astype(float)
    rim = rectify.RIM
    inner = straight[round(64 * rim) : -round(64 * rim), round(160 * rim) : -round(160 * rim)]
    wanted = cv2.resize(front, inner.shape[::-1], interpolation=cv2.INTER_AREA).astype(float)
    assert np.corrcoef(inner.ravel(), wanted.ravel())[0, 1] > 0.75


@pytest.mark.parametrize(
    "corners", [[[-40, -30], [20, -30], [20, 5], [-40, 5]], [[395, 295], [420, 295], [420, 310], [395, 310]]]
)
def test_plates_at_the_border_do_not_break_rectification(corners):
    crop = rectify.rectify(np.zeros((300, 400, 3), np.uint8), np.array(corners, np.float32))
    assert crop.shape == (64, 160)
