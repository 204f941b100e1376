"""Where frames come from: real files, a real video; what cannot be used says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from clients.gateway.counters import Counters
from clients.gateway.feed import Feed, Frame
from clients.gateway.sources import (
    CLIP_FPS,
    PICTURES_APART_S,
    ClipSource,
    FolderSource,
    SourceError,
    Still,
    VideoSource,
    open_source,
)

START = datetime(2026, 11, 23, 18, tzinfo=UTC)


def opened(location: str | None, **options: object):
    return open_source(
        location, **({"seed": 1, "passes": 2, "plates": (), "sample": 10.0, "fps": 0.0} | options)
    )


@pytest.fixture
def video(tmp_path: Path) -> Path:
    file = tmp_path / "clip.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(60):
            picture = np.full((48, 64, 3), 4 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file


def test_generated_scenes_are_the_same_again_and_hold_the_plate() -> None:
    first, second = (ClipSource(3, 2, ["7KXR482"]) for _ in range(2))
    a, b = next(first.frames()), next(second.frames())
    assert a == b
    assert a.jpeg.startswith(b"\xff\xd8")
    assert first.total == round(first.seconds * CLIP_FPS)
    assert first.generated
    assert "7KXR482" in [p.text for p in first._clip.passes]
    assert len(first._clip.passes) == 2


def test_a_plate_that_no_plate_carries_is_refused() -> None:
    with pytest.raises(SourceError, match="8ABC123"):
        ClipSource(1, 1, ["no plate at all!"])


def test_pictures_of_a_folder_stand_for_themselves_or_are_frames(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.webp"):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "d.png").write_bytes(b"no picture either")
    stills = list(FolderSource(tmp_path, 0).frames())
    assert [s.at for s in stills] == [0, PICTURES_APART_S, 2 * PICTURES_APART_S, 3 * PICTURES_APART_S]
    assert stills[0].jpeg == (tmp_path / "a.jpg").read_bytes()
    assert all(s.jpeg.startswith(b"\xff\xd8") for s in stills[:3])
    assert stills[3].jpeg == b"no picture either"
    assert [s.at for s in FolderSource(tmp_path, 5).frames()] == pytest.approx([0, 0.2, 0.4, 0.6])


def test_a_video_is_sampled(video: Path) -> None:
    source = VideoSource(str(video), 10)
    stills = list(source.frames())
    assert (len(stills), source.total, source.live) == (20, 20, False)
    assert source.seconds == pytest.approx(2, abs=0.1)
    assert [s.at for s in stills] == pytest.approx([n / 10 for n in range(20)], abs=0.01)
    assert len(list(VideoSource(str(video), 60).frames())) == 60


@pytest.mark.parametrize("name", ["missing.mp4", "empty", "broken.mp4"])
def test_what_cannot_be_played_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"give|check"):
        opened(str(tmp_path / name))


def test_a_cameras_credentials_are_not_shown() -> None:
    source = VideoSource("rtsp://user:secret@127.0.0.1:9/stream", 5)
    assert source.live
    assert source.name == "127.0.0.1:9/stream"
    with pytest.raises(SourceError, match="cannot be opened") as error:
        next(source.frames())
    assert "secret" not in str(error.value)


class Counted:
    """A source of numbered stills."""

    name, generated, total, seconds = "counted", False, None, 0.0

    def __init__(self, count: int, *, live: bool = False, breaks_at: int = 0) -> None:
        self.count, self.live, self.breaks_at, self.opened = count, live, breaks_at, 0

    def frames(self) -> Iterator[Still]:
        self.opened += 1
        for n in range(self.count):
            if self.breaks_at and n == self.breaks_at and self.opened == 1:
                raise SourceError("broke off")
            yield Still(n / 10, b"%d" % n)


async def all_of(feed: Feed) -> list[Frame]:
    frames = []
    while (frame := await feed.next()) is not None:
        frames.append(frame)
    return frames


async def test_a_recording_waits_and_gives_every_frame() -> None:
    feed = Feed(Counted(50), Counters(), start=START, waiting=3)
    await asyncio.sleep(0.05)
    frames = await all_of(feed)
    assert [f.number for f in frames] == list(range(1, 51))
    assert [f.captured_at for f in frames] == [START + timedelta(seconds=n / 10) for n in range(50)]


async def test_a_camera_overwrites_what_nobody_took() -> None:
    counters = Counters()
    feed = Feed(Counted(50, live=True), counters, start=START, waiting=3, most_frames=50)
    await asyncio.sleep(0.1)
    frames = await all_of(feed)
    assert [f.jpeg for f in frames] == [b"47", b"48", b"49"]
    assert counters.skipped == 47
    assert [f.captured_at for f in frames] == sorted(f.captured_at for f in frames)


async def test_a_recording_that_breaks_off_says_so_after_its_frames() -> None:
    feed = Feed(Counted(9, breaks_at=4), Counters(), start=START)
    for _ in range(4):
        assert await feed.next() is not None
    with pytest.raises(SourceError):
        await feed.next()


async def test_a_camera_that_breaks_off_is_opened_again() -> None:
    source, counters = Counted(9, live=True, breaks_at=4), Counters()
    feed = Feed(source, counters, start=START, most_frames=8)
    assert len(await all_of(feed)) == 8
    assert (source.opened, counters.reopened) == (2, 1)


async def test_frames_end_where_they_are_told_to() -> None:
    assert len(await all_of(Feed(Counted(50), Counters(), start=START, most_frames=7))) == 7
    feed = Feed(Counted(10**6), Counters(), start=START)
    assert await feed.next() is not None
    feed.stop()
    assert len(await all_of(feed)) <= 8
    assert feed.stopped


async def test_pace_slows_a_recording_down() -> None:
    begun = asyncio.get_running_loop().time()
    await all_of(Feed(Counted(6), Counters(), start=START, pace=50))
    assert asyncio.get_running_loop().time() - begun >= 0.09
