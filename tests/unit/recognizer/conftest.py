"""A generated clip, recognised once: its frames as JPEG, and the models."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cv2
import pytest

from scenes.clip import Clip
from services.recognizer.pipeline import Pipeline
from services.recognizer.session import Frame

START = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return Pipeline.load()


@pytest.fixture(scope="session")
def clip() -> Clip:
    return Clip(11, fps=5, passes=["7KXR482", "8ABC123"])


@pytest.fixture(scope="session")
def frames(clip: Clip) -> list[Frame]:
    made = []
    for index, image in enumerate(clip):
        jpeg = bytes(cv2.imencode(".jpg", image)[1])
        made.append(Frame(index + 1, START + timedelta(seconds=index / clip.fps), jpeg))
    return made
