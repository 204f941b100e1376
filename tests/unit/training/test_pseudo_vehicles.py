"""Labels that lack vehicles are completed by what the network sees, and doubts stay open."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from services.recognizer.detect import Detector, VehicleBox
from training.data import Photo, Vehicle
from training.pseudo_vehicles import SUSPECTED, completed


class Sees:
    """A detector that sees the same everywhere."""

    def __init__(self, *found: tuple[tuple[float, float, float, float], str, float]) -> None:
        self.found = [VehicleBox(np.array(box, np.float32), kind, 0.9, score) for box, kind, score in found]

    def detect(self, image: object) -> tuple[list[object], list[VehicleBox]]:
        return [], self.found


class Blank(Photo):
    def load(self) -> np.ndarray:
        return np.zeros((100, 100, 3), np.uint8)


LABELLED = Blank(Path("a"), "set", "train", (), True, (Vehicle((0, 0, 50, 50), -1, sure=False),), False)


def complete(photo: Photo, *found: tuple[tuple[float, float, float, float], str, float]) -> Photo:
    (after,) = completed([photo], cast(Detector, Sees(*found)))
    return after


def test_a_complete_photograph_stays_as_it_is():
    whole = replace(LABELLED, vehicles_complete=True)
    assert complete(whole, ((60, 60, 90, 90), "car", 0.9)) == whole


def test_a_doubtful_label_that_the_network_sees_is_sure_and_has_a_class():
    after = complete(LABELLED, ((1, 1, 50, 51), "bus", 0.7))
    assert after.vehicles_complete
    assert after.vehicles == (Vehicle((0, 0, 50, 50), 2, sure=True),)


@pytest.mark.parametrize(("score", "sure"), [(0.8, True), (SUSPECTED, False)])
def test_what_only_the_network_sees_is_added_as_surely_as_it_sees_it(score: float, sure: bool):
    after = complete(LABELLED, ((60, 60, 90, 90), "truck", score))
    assert [v.sure for v in after.vehicles] == [False, sure]
    assert after.vehicles[1].kind == 1
