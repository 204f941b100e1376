"""The issuing state: given where it is sure, "unknown" elsewhere; learnt from pictures that are not these."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from plates.normal import normalize
from services.recognizer import state
from services.recognizer.engine import Engine
from services.recognizer.pipeline import MODELS_FOLDER, Models, Pipeline
from services.recognizer.state import HEIGHT, STATES, WIDTH, StateReader

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = pytest.mark.req("R-HOT-1")


@pytest.fixture(scope="module")
def models() -> Models:
    return Models.load(MODELS_FOLDER)


def reader(models: Models, least: float | None = None) -> StateReader:
    limits = models.limits
    return StateReader(
        Engine(models.files["state"]),
        temperature=limits.state_temperature,
        least=limits.state if least is None else least,
    )


def test_each_state_has_one_code_and_all_are_there():
    assert len(set(STATES)) == len(STATES) == 56
    assert list(STATES) == sorted(STATES)
    assert {"US-CA", "US-DC", "US-PR"} <= set(STATES)


def test_probabilities_are_of_all_states_and_of_none(models: Models):
    crops = [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 128, 255)]
    found = reader(models).probabilities(crops)
    assert found.shape == (3, len(STATES) + 1)
    assert found.sum(1) == pytest.approx(np.ones(3), abs=1e-4)
    assert reader(models).read([]) == []


def test_what_is_no_plate_has_no_state(models: Models):
    rng = np.random.default_rng(3)
    crops = [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 90, 255)]
    crops += [rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(5)]
    assert {name for name, _ in reader(models).read(crops)} == {"unknown"}


def test_below_its_limit_no_state_is_given_and_no_confidence(models: Models):
    crop = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    assert reader(models, least=1.01).read([crop]) == [("unknown", 0.0)]


def test_a_plate_is_cut_out_in_colour_as_seen_from_the_front():
    image = np.zeros((300, 500, 3), np.uint8)
    corners = np.array([[100, 100], [320, 120], [318, 240], [98, 220]], np.float32)
    cv2.fillConvexPoly(image, corners.astype(np.int32), (10, 200, 60))
    crop = StateReader.crop(image, corners)
    assert crop.shape == (HEIGHT, WIDTH, 3)
    assert crop[20:-20, 20:-20].reshape(-1, 3).mean(0) == pytest.approx([10, 200, 60], abs=3)


def test_older_models_without_a_state_network_still_read(models: Models, tmp_path: Path):
    import json
    import shutil

    for file in MODELS_FOLDER.iterdir():
        shutil.copy(file, tmp_path / file.name)
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    del manifest["files"]["state"]
    manifest["limits"] = {k: v for k, v in manifest["limits"].items() if not k.startswith("state")}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    from scenes.street import render_scene

    found = Pipeline.load(tmp_path).recognize(render_scene(5, plates=["8ABC123"]).image).plates
    assert [normalize(p.text) for p in found if p.readable] == ["8ABC123"]
    assert {(p.state, p.state_confidence) for p in found} == {("unknown", 0.0)}


@pytest.mark.skipif(
    not (DATA / "train").exists(), reason="the photographs are not here: ../shared/data is absent"
)
def test_of_pictures_nobody_trained_on_enough_are_answered_and_enough_of_those_right(models: Models):
    from training.state_pictures import VALID, load, pictures

    chosen = random.Random(2).sample(pictures(DATA, VALID), 160)
    found = reader(models).read([load(path) for path, _ in chosen])
    given = [
        (name, STATES[label])
        for (name, _), (_, label) in zip(found, chosen, strict=True)
        if name != "unknown"
    ]
    assert len(given) >= 0.7 * len(chosen)
    assert sum(a == b for a, b in given) >= 0.85 * len(given)
    assert state.UNKNOWN_STATE == "unknown"
