"""A camera followed with the real models: one sighting a pass, only crops leave, broken frames do no harm."""

from __future__ import annotations

import gc
import weakref
from datetime import timedelta

import cv2
import numpy as np
import protovalidate
import pytest

from plateward.common.v1 import types_pb2
from plateward.recognizer.v1 import recognizer_pb2
from scenes.clip import Clip
from services.recognizer.crops import MASK_GREY
from services.recognizer.decode import decode
from services.recognizer.pipeline import Pipeline
from services.recognizer.session import Frame, Session
from tests.unit.recognizer.conftest import START


def follow(
    pipeline: Pipeline, frames: list[Frame], camera: str = "cam-1"
) -> tuple[list[recognizer_pb2.Sighting], list[int]]:
    session = Session(camera, pipeline, gap=timedelta(seconds=1.5), longest=timedelta(seconds=20))
    steps = [session.step(f) for f in frames]
    steps.append(session.end(frames[-1].number))
    return [s for step in steps for s in step.sightings], [step.settled_through for step in steps]


@pytest.fixture(scope="module")
def followed(pipeline: Pipeline, frames: list[Frame]) -> tuple[list[recognizer_pb2.Sighting], list[int]]:
    return follow(pipeline, frames)


@pytest.mark.req("R-REC-4")
def test_one_sighting_a_pass(followed, clip: Clip) -> None:
    sightings, settled = followed
    assert [s.plate.text for s in sightings] == [p.text for p in clip.passes]
    assert settled[-1] == len(clip)
    for sighting in sightings:
        protovalidate.validate(sighting)
        assert sighting.frames > 1
        assert (
            sighting.first_seen_at.ToDatetime()
            <= sighting.seen_at.ToDatetime()
            <= sighting.last_seen_at.ToDatetime()
        )


@pytest.mark.req("R-REC-4")
def test_frames_sent_again_give_the_same_ids(followed, pipeline: Pipeline, frames: list[Frame]) -> None:
    """The recognizer dies in the middle of the second pass; the next one gets what was not settled."""
    sightings, settled = followed
    broken = next(n for n in range(len(frames) - 8, len(frames)) if settled[n] < n)
    again, _ = follow(pipeline, frames[settled[broken] :])
    assert [s.sighting_id for s in again] == [sightings[1].sighting_id]
    assert again[0] == sightings[1]


@pytest.mark.req("R-REC-4")
def test_another_camera_gives_other_ids(followed, pipeline: Pipeline, frames: list[Frame]) -> None:
    other, _ = follow(pipeline, frames[:16], "cam-2")
    assert other[0].sighting_id != followed[0][0].sighting_id


@pytest.mark.req("R-REC-3")
def test_only_crops_leave(followed, clip: Clip) -> None:
    """A plate, and a vehicle whose glass is masked, both much smaller than the frame; nothing else holds pixels."""
    width, height = clip.size
    for sighting in followed[0]:
        assert [c.kind for c in sighting.crops] == [types_pb2.CROP_KIND_PLATE, types_pb2.CROP_KIND_VEHICLE]
        plate, vehicle = (
            cv2.imdecode(np.frombuffer(c.jpeg, np.uint8), cv2.IMREAD_COLOR) for c in sighting.crops
        )
        assert plate.shape[0] * plate.shape[1] < width * height / 50
        assert vehicle.shape[0] * vehicle.shape[1] < width * height / 3
        band = vehicle[: int(vehicle.shape[0] * 0.4), 8:-8]
        assert np.abs(band.astype(int) - MASK_GREY).mean() < 4
        pictures = sum(len(c.jpeg) for c in sighting.crops)
        assert sighting.ByteSize() - pictures < 2000


@pytest.mark.req("R-REC-3")
def test_the_frame_is_freed(pipeline: Pipeline, frames: list[Frame]) -> None:
    """After a step nothing refers to the pixels of its frame."""
    alive: list[weakref.ref] = []

    def watched(data: bytes) -> np.ndarray:
        image = decode(data)
        alive.append(weakref.ref(image))
        return image

    session = Session(
        "cam-1", pipeline, gap=timedelta(seconds=1.5), longest=timedelta(seconds=20), decode=watched
    )
    for frame in frames[4:8]:
        session.step(frame)
    gc.collect()
    assert len(alive) == 4
    assert [ref() for ref in alive] == [None] * 4


def test_a_broken_frame_warns_and_the_stream_goes_on(
    followed, pipeline: Pipeline, frames: list[Frame]
) -> None:
    broken = [
        Frame(f.number, f.at, b"\xff\xd8\xffno picture") if f.number in {3, 8} else f for f in frames[:14]
    ]
    session = Session("cam-1", pipeline, gap=timedelta(seconds=1.5), longest=timedelta(seconds=20))
    steps = [session.step(f) for f in broken]
    assert [n for n, step in enumerate(steps, 1) if step.warning] == [3, 8]
    assert steps[2].warning.startswith("frame 3: ")
    found = [s for step in [*steps, session.end(14)] for s in step.sightings]
    assert [s.plate.text for s in found] == [followed[0][0].plate.text]


@pytest.mark.req("R-REC-4")
@pytest.mark.parametrize("fps", [3, 12])
def test_cameras_of_other_rates_and_with_gaps_give_one_sighting_a_pass(pipeline: Pipeline, fps: int) -> None:
    """Every seventh frame, and half a second in the middle of a pass, are missing."""
    clip = Clip(11, fps=fps, passes=["7KXR482", "8ABC123"])
    middle = (clip.passes[0].first + clip.passes[0].last) // 2
    frames = [
        Frame(n + 1, START + timedelta(seconds=n / fps), bytes(cv2.imencode(".jpg", image)[1]))
        for n, image in enumerate(clip)
        if n % 7 != 6 and not 0 <= n - middle < fps // 2
    ]
    sightings, settled = follow(pipeline, frames)
    assert [s.plate.text for s in sightings] == ["7KXR482", "8ABC123"]
    assert settled[-1] == frames[-1].number
