"""Batches: every caller gets its own rows, sizes are those of the profile, and a fault stays in its batch."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.recognizer.batching import Batcher, Inputs
from services.recognizer.detect import Detector
from services.recognizer.engine import Engine, EngineError, Profile, available, provider_options, require
from services.recognizer.pipeline import MODELS_FOLDER, Models
from services.recognizer.results import Float, Image
from services.recognizer.session import Frame


class Doubles:
    """An engine that doubles its inputs, notes the sizes it was given, and takes its time."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.sizes: list[int] = []
        self.shapes: set[tuple[int, ...]] = set()
        self.takes_s = takes_s

    def run(self, inputs: Inputs) -> list[Float]:
        self.sizes.append(len(inputs))
        time.sleep(self.takes_s)
        if (inputs == 13).any():
            raise RuntimeError("unlucky")
        return [inputs * 2, inputs.reshape(len(inputs), -1).sum(1)]

    def warm_up(self, *shapes: tuple[int, ...]) -> None:
        self.shapes |= set(shapes)


def rows(*values: float, width: int = 3) -> Inputs:
    return np.repeat(np.array(values, np.float32)[:, None], width, axis=1)


def test_many_threads_get_their_own_rows_in_few_batches() -> None:
    engine = Doubles(takes_s=0.005)
    batcher = Batcher(engine, (1, 4, 16), wait_s=0.02)

    def call(n: int) -> bool:
        inputs = rows(*(n + 0.25 * k for k in range(1 + n % 3)), width=3 + n % 2)
        doubled, sums = batcher.run(inputs)
        return np.array_equal(doubled, inputs * 2) and np.allclose(sums, inputs.sum(1))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(1000, 1200)))
    assert set(engine.sizes) <= {1, 4, 16}
    assert len(engine.sizes) < 150


def test_a_caller_alone_waits_no_longer_than_the_bound() -> None:
    batcher = Batcher(Doubles(), (1, 4), wait_s=0.05)
    begun = time.perf_counter()
    batcher.run(rows(1))
    assert time.perf_counter() - begun < 1


def test_more_rows_than_the_largest_batch_are_parted() -> None:
    engine = Doubles()
    doubled, sums = Batcher(engine, (1, 4), wait_s=0).run(rows(*range(20, 30)))
    assert engine.sizes == [4, 4, 4]
    assert np.array_equal(doubled, rows(*range(20, 30)) * 2)
    assert len(sums) == 10


def test_a_fault_stays_in_its_batch_and_the_next_one_is_fine() -> None:
    batcher = Batcher(Doubles(), (1, 2), wait_s=5)
    together = threading.Barrier(2)
    faults = []

    def call(value: float) -> None:
        together.wait()
        try:
            batcher.run(rows(value))
        except RuntimeError as fault:
            faults.append(str(fault))

    threads = [threading.Thread(target=call, args=(v,)) for v in (1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == ["unlucky", "unlucky"]
    assert np.array_equal(batcher.run(rows(1, 2))[0], rows(2, 4))


def test_warm_up_runs_every_size_of_every_shape() -> None:
    engine = Doubles()
    Batcher(engine, (1, 4), wait_s=0).warm_up((1, 3, 8), (1, 3, 4))
    assert engine.shapes == {(1, 3, 8), (4, 3, 8), (1, 3, 4), (4, 3, 4)}


@pytest.mark.req("R-REC-5")
def test_in_batches_the_detector_finds_what_it_finds_alone(frames: list[Frame]) -> None:
    """The path of the GPU profiles, run on the CPU: real model, shared by threads, filled up to fixed sizes."""
    from services.recognizer.decode import decode

    models = Models.load(MODELS_FOLDER)
    shared = Profile(("CPUExecutionProvider",), batches=(1, 4), wait_s=0.2)
    alone, together = (
        Detector(
            Engine(models.detector, profile=profile),
            Engine(models.files["vehicles"], profile=profile),
            plate_threshold=0.3,
            vehicle_threshold=0.35,
        )
        for profile in (None, shared)
    )
    together.warm_up()
    images: list[Image] = [decode(f.image) for f in frames[6:12]]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(together.detect, images))
    for image, (plates, vehicles) in zip(images, found, strict=True):
        lone_plates, lone_vehicles = alone.detect(image)
        assert [p.score for p in plates] == pytest.approx([p.score for p in lone_plates], abs=1e-3)
        assert [v.kind for v in vehicles] == [v.kind for v in lone_vehicles]
        for a, b in zip(plates, lone_plates, strict=True):
            assert a.corners == pytest.approx(b.corners, abs=0.5)


def test_hardware_that_is_not_there_is_named_with_what_to_install() -> None:
    assert "cpu" in available()
    if "tensorrt" in available():
        pytest.skip("this ONNX Runtime has TensorRT")
    with pytest.raises(EngineError, match=r"plateward\[gpu\]"):
        require("tensorrt")
    with pytest.raises(EngineError, match="choose cpu"):
        Engine(Models.load(MODELS_FOLDER).reader, provider="cuda")


def test_options_name_the_cache_only_for_tensorrt(tmp_path) -> None:
    first, *others = provider_options("tensorrt", tmp_path, "reader")
    assert first["trt_engine_cache_path"] == str(tmp_path)
    assert first["trt_engine_cache_prefix"] == "reader"
    assert not any("trt_engine_cache_path" in options for options in others)
    assert provider_options("cpu", tmp_path, "reader") == [{}]
    assert "trt_engine_cache_enable" not in provider_options("tensorrt", None, "reader")[0]
