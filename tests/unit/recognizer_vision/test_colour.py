"""The colour rule on plain paint, and on the generator's vehicles in daylight."""

import numpy as np
import pytest

from scenes.street import render_scene
from services.recognizer.vehicle import UNKNOWN, colour

BOX = np.array([0, 0, 200, 160], np.float32)


@pytest.mark.parametrize(
    ("bgr", "name"),
    [
        ((20, 20, 20), "black"), ((95, 95, 95), "gray"), ((150, 150, 152), "silver"), ((235, 235, 230), "white"),
        ((30, 25, 180), "red"), ((170, 90, 30), "blue"), ((60, 140, 40), "green"), ((30, 200, 230), "yellow"),
        ((20, 120, 240), "orange"), ((30, 60, 100), "brown"),
    ],
)  # fmt: skip
def test_plain_paint_is_named(bgr, name):
    image = np.full((160, 200, 3), bgr, np.uint8)
    assert colour(image, BOX) == (name, 1.0)


def test_a_box_too_small_to_tell_is_unknown():
    assert colour(np.zeros((50, 50, 3), np.uint8), np.array([1, 1, 9, 9], np.float32)) == (UNKNOWN, 0.0)


def test_generated_vehicles_get_their_colour():
    near = {
        "gray": {"gray", "silver", "black"},
        "silver": {"silver", "gray", "white"},
        "white": {"white", "silver"},
    }
    hits = total = 0
    for seed in range(12):
        scene = render_scene(seed, size=(640, 360), plates=["A1"])
        for vehicle in scene.vehicles:
            x, y, w, h = vehicle.box
            name, share = colour(scene.image, np.array([x, y, x + w, y + h], np.float32))
            assert 0 < share <= 1
            hits += name in near.get(vehicle.colour, {vehicle.colour})
            total += 1
    assert hits / total >= 0.7
