"""The colour network: on the generator's vehicles, on photographs where they are present, and where nobody could tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenes.street import render_scene
from services.recognizer.engine import Engine
from services.recognizer.pipeline import MODELS_FOLDER, Models
from services.recognizer.vehicle import COLOURS, SIDE, UNKNOWN, ColourReader, cut

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = pytest.mark.req("R-REC-1")


@pytest.fixture(scope="module")
def reader() -> ColourReader:
    models = Models.load(MODELS_FOLDER)
    return ColourReader(Engine(models.files["colour"]), temperature=models.limits.colour_temperature)


def test_a_box_too_small_to_tell_is_unknown(reader):
    image = np.zeros((50, 50, 3), np.uint8)
    boxes = [np.array(b, np.float32) for b in ([1, 1, 9, 40], [0, 0, 40, 40], [30, 30, 44, 49])]
    assert cut(image, boxes[0]) is None
    small, large, narrow = reader.read(image, boxes)
    assert small == narrow == (UNKNOWN, 0.0)
    assert large[0] in COLOURS
    assert 0 < large[1] <= 1


def test_no_vehicle_no_colour(reader):
    assert reader.read(np.zeros((50, 50, 3), np.uint8), []) == []


def test_a_box_at_the_edge_is_cut_as_far_as_it_reaches():
    image = np.arange(60 * 80 * 3, dtype=np.uint32).reshape(60, 80, 3).astype(np.uint8)
    assert cut(image, np.array([-5, -5, 30, 30], np.float32)).shape == (SIDE, SIDE, 3)
    assert cut(image, np.array([50, 30, 90, 70], np.float32)).shape == (SIDE, SIDE, 3)


def test_generated_vehicles_get_their_colour(reader):
    near = {
        "gray": {"gray", "silver", "black"},
        "silver": {"silver", "gray", "white"},
        "white": {"white", "silver"},
        "black": {"black", "gray"},
    }
    hits = total = 0
    for seed in range(12):
        scene = render_scene(seed, size=(640, 360), plates=["A1"])
        for vehicle in scene.vehicles:
            x, y, w, h = vehicle.box
            ((name, share),) = reader.read(scene.image, [np.array([x, y, x + w, y + h], np.float32)])
            assert 0 < share <= 1
            hits += name in near.get(vehicle.colour, {vehicle.colour})
            total += 1
    assert hits / total >= 0.6


@pytest.mark.skipif(not DATA.exists(), reason="needs the photographs of ../shared/data")
def test_real_vehicles_get_the_colour_that_a_person_saw(reader):
    from training.colour_agreement import agreement

    count, same, _, _ = agreement(DATA, reader)
    assert count > 100
    assert same >= 0.7
