"""Scenes are decided by their seed, and every label is inside the picture."""

import numpy as np
import pytest

from scenes.street import render_scene
from scenes.vehicles import PAINTS, TYPE_SHARES
from scenes.weather import CONDITIONS

SIZE = (640, 360)


def test_equal_seeds_give_equal_scenes():
    first, second = render_scene(11, size=SIZE), render_scene(11, size=SIZE)
    assert np.array_equal(first.image, second.image)
    assert [p.text for p in first.plates] == [p.text for p in second.plates]
    assert not np.array_equal(first.image, render_scene(12, size=SIZE).image)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("seed", range(4))
def test_labels_lie_inside_the_picture(seed, condition):
    scene = render_scene(seed, size=SIZE, condition=condition)
    assert scene.image.shape == (SIZE[1], SIZE[0], 3)
    assert scene.image.dtype == np.uint8
    assert scene.vehicles
    for box in [v.box for v in scene.vehicles] + [p.box for p in scene.plates]:
        x, y, w, h = box
        assert w > 0
        assert h > 0
        assert x >= 0
        assert y >= 0
        assert x + w <= SIZE[0]
        assert y + h <= SIZE[1]
    for vehicle in scene.vehicles:
        assert vehicle.type in TYPE_SHARES
        assert vehicle.colour in PAINTS
    for plate in scene.plates:
        assert plate.corners.shape == (4, 2)
        assert any(_inside(plate.box, v.box) for v in scene.vehicles)


def _inside(inner, outer, slack=2):
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[0] + inner[2] <= outer[0] + outer[2] + slack
        and inner[1] + inner[3] <= outer[1] + outer[3] + slack
    )


def test_the_plates_asked_for_are_in_the_scene():
    scene = render_scene(3, plates=["8ABC123"])
    assert [p.text for p in scene.plates] == ["8ABC123"]
    assert len(scene.vehicles) == 1


def test_more_plates_than_lanes_are_refused():
    with pytest.raises(ValueError, match="at most three"):
        render_scene(1, plates=["A1", "B2", "C3", "D4"])


def test_night_is_darker_than_day():
    day, night = (render_scene(2, size=SIZE, condition=c).image.mean() for c in ("day", "night"))
    assert night < day * 0.6
