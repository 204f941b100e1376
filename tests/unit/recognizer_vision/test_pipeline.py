"""The whole pipeline with the models that are shipped: on generated scenes, and on real photographs where they are."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scenes.clip import Clip
from scenes.street import render_scene
from services.recognizer.decode import decode
from services.recognizer.detect import overlaps
from services.recognizer.engine import Engine, EngineError
from services.recognizer.pipeline import MODELS_FOLDER, ModelError, Models, Pipeline

DATA = Path(os.environ.get("PLATEWARD_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLD = str.maketrans("OI", "01")
MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline.load()


def xyxy(box):
    return np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]], np.float32)


@pytest.mark.req("R-REC-1")
def test_generated_day_passes_are_read(pipeline):
    """The demo's promise: nine passes in ten are read right, each frame voting by its confidence and its plate's width."""
    right = total = 0
    for seed in range(6):
        clip = Clip(seed, fps=4, passes=3)
        for each in clip.passes:
            votes = Counter()
            for index in range(each.first, each.last + 1):
                for plate in pipeline.recognize(clip.frame(index)).plates:
                    if plate.readable:
                        votes[plate.text.translate(FOLD)] += plate.confidence * plate.box[2]
            right += bool(votes) and votes.most_common(1)[0][0] == each.text.translate(FOLD)
            total += 1
    assert right / total >= 0.9


@pytest.mark.req("R-REC-1")
def test_a_read_carries_confidences_candidates_and_four_corners(pipeline):
    scene = render_scene(5, plates=["8ABC123"])
    recognition = pipeline.recognize(scene.image)
    assert recognition.model_version
    assert len(recognition.plates) == 1
    plate = recognition.plates[0]
    assert plate.readable
    assert plate.text == "8ABC123"
    assert 0 < plate.confidence <= 1
    assert "".join(c for c, _ in plate.characters) == plate.text
    assert all(0 <= c <= 1 for _, c in plate.characters)
    assert plate.candidates[0] == (plate.text, plate.confidence)
    assert len(plate.candidates) <= 10
    assert plate.corners.shape == (4, 2)
    assert (plate.state, plate.state_confidence) == ("unknown", 0.0)
    truth = scene.plates[0]
    assert np.abs(plate.corners - truth.corners).max() < 0.2 * truth.box[2]


@pytest.mark.req("R-REC-1")
def test_vehicles_are_found_with_type_and_colour(pipeline):
    found = total = 0
    for seed in range(8):
        scene = render_scene(seed)
        recognition = pipeline.recognize(scene.image)
        for vehicle in recognition.vehicles:
            assert vehicle.type in {"car", "truck", "bus", "motorcycle"}
            assert 0 <= vehicle.type_confidence <= 1
            assert 0 <= vehicle.colour_confidence <= 1
        boxes = np.array([xyxy(v.box) for v in recognition.vehicles], np.float32).reshape(-1, 4)
        found += sum(bool((overlaps(xyxy(v.box), boxes) > 0.5).any()) for v in scene.vehicles)
        total += len(scene.vehicles)
    assert found / total >= 0.8


def test_an_empty_picture_has_nothing(pipeline):
    for shape in ((16, 16, 3), (720, 1280, 3), (3000, 40, 3)):
        assert pipeline.recognize(np.full(shape, 127, np.uint8)).plates == ()


def test_recognition_is_repeatable(pipeline):
    image = render_scene(1).image
    first, second = pipeline.recognize(image), pipeline.recognize(image)
    assert [(p.text, p.confidence, p.box) for p in first.plates] == [
        (p.text, p.confidence, p.box) for p in second.plates
    ]
    assert first.vehicles == second.vehicles


def test_the_models_are_small():
    assert sum(f.stat().st_size for f in MODELS_FOLDER.glob("*.onnx")) < MOST_BYTES


@pytest.fixture
def copied(tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(MODELS_FOLDER, folder)
    return folder


def test_an_altered_model_is_refused(copied):
    with (copied / "reader.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"reader\.onnx is not the file that its manifest names"):
        Models.load(copied)


def test_missing_or_senseless_models_say_what_to_do(copied):
    (copied / "detector.onnx").unlink()
    with pytest.raises(ModelError, match="reinstall plateward"):
        Models.load(copied)
    (copied / "manifest.json").write_text(json.dumps({"version": "1"}))
    with pytest.raises(ModelError, match="reinstall plateward"):
        Models.load(copied)


def test_hardware_that_is_not_there_is_refused():
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine can run CUDA")
    with pytest.raises(EngineError, match="choose cpu"):
        Engine(b"", provider="cuda")


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(EngineError, match="reinstall the models"):
        Engine(b"not a model")


@pytest.mark.req("R-REC-1")
def test_real_photographs_are_read(pipeline):
    folder = DATA / "bench" / "openalpr-us-dev"
    if not folder.exists():
        pytest.skip(f"no photographs at {folder}; set PLATEWARD_DATA to the folder that holds bench/")
    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    right = total = false = 0
    for row in rows:
        reads = [
            p for p in pipeline.recognize(decode((folder / row["image"]).read_bytes())).plates if p.readable
        ]
        boxes = np.array([xyxy(p["box"]) for p in row["plates"]], np.float32)
        for truth in row["plates"]:
            near = [p for p in reads if overlaps(xyxy(p.box), xyxy(truth["box"])[None])[0] >= 0.3]
            right += any(p.text.translate(FOLD) == truth["text"].translate(FOLD) for p in near)
            total += 1
        false += sum(overlaps(xyxy(p.box), boxes).max() == 0 for p in reads)
    assert right / total >= 0.70
    assert false / len(rows) <= 0.25
