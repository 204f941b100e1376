"""Videos that stop in the middle and cameras that fall silent: a sentence in time, never a wait without end."""

from __future__ import annotations

import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from clients.gateway import sources
from clients.gateway.counters import Counters
from clients.gateway.feed import Feed
from clients.gateway.sources import FolderSource, SourceError, VideoSource
from tests.common.bad_pictures import bad_pictures, encoded, odd_pictures

LIMIT_S = 1.0
_OPTIONS_ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_OPEN_S", LIMIT_S)
    monkeypatch.setattr(sources, "_READ_S", LIMIT_S)


@contextmanager
def camera(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that accepts, talks, and then neither sends nor closes."""
    server, over, held = socket.create_server(("127.0.0.1", 0)), threading.Event(), []
    server.settimeout(0.1)

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = server.accept()
                held.append(connection)
                talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        for connection in (*held, server):
            connection.close()


def pictures(count: int) -> bytes:
    """A camera's multipart stream of JPEGs, and no end."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    jpeg = bytes(cv2.imencode(".jpg", noise)[1])
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg)
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
    return head + part * count


def played(source: VideoSource) -> tuple[int, str]:
    """How many frames a source gives, and what it says at their end."""
    count = 0
    try:
        for _ in source.frames():
            count += 1
    except SourceError as fault:
        return count, str(fault)
    return count, ""


@pytest.mark.parametrize("talk", [lambda _: None, lambda c: c.sendall(_OPTIONS_ANSWER)])
def test_a_camera_that_accepts_and_says_nothing_more_is_given_up(
    talk: Callable[[socket.socket], None],
) -> None:
    with camera(talk) as address:
        begun = time.monotonic()
        with pytest.raises(SourceError, match="cannot be opened"):
            next(VideoSource(f"rtsp://user:secret@{address}/stream", 5).frames())
        assert time.monotonic() - begun < 5 * LIMIT_S


def test_a_camera_that_falls_silent_is_given_up_after_its_frames() -> None:
    with camera(lambda c: c.sendall(pictures(40))) as address:
        begun = time.monotonic()
        count, fault = played(VideoSource(f"http://{address}/video", 100))
        assert count > 0
        assert "stopped giving frames" in fault
        assert time.monotonic() - begun < 10 * LIMIT_S


async def test_a_camera_that_falls_silent_is_opened_again() -> None:
    counters = Counters()
    with camera(lambda c: c.sendall(pictures(40))) as address:
        feed = Feed(VideoSource(f"http://{address}/video", 100), counters, start=datetime.now(UTC))
        while counters.reopened < 2:
            assert await feed.next() is not None
        feed.stop()
    assert counters.frames > 0


def video(file: Path, **options: object) -> bytes:
    """A video of three seconds, its index at the front where the format has one."""
    noise = np.random.default_rng(1)
    with av.open(str(file), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(90):
            picture = noise.integers(0, 255, (240, 320, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.read_bytes()


@pytest.mark.parametrize(("name", "options"), [("clip.mp4", {"movflags": "faststart"}), ("clip.mkv", {})])
def test_a_video_that_stops_in_the_middle_gives_what_it_has_and_says_so(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    whole = video(tmp_path / name, **options)
    assert len(list(VideoSource(str(tmp_path / name), 30).frames())) == 90
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    count, fault = played(VideoSource(str(tmp_path / name), 30))
    assert re.search("incomplete|stopped giving frames", fault)
    assert 20 <= count <= 60


def test_a_video_without_its_index_cannot_be_opened(tmp_path: Path) -> None:
    whole = video(tmp_path / "clip.mp4")
    (tmp_path / "clip.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="cannot be opened"):
        VideoSource(str(tmp_path / "clip.mp4"), 30)


def test_a_damaged_video_does_no_more_than_lose_frames(tmp_path: Path) -> None:
    data = bytearray(video(tmp_path / "clip.mkv"))
    places = np.random.default_rng(3).integers(2000, len(data), 200)
    for place in places:
        data[place] ^= 0x5A
    (tmp_path / "clip.mkv").write_bytes(bytes(data))
    with suppress(SourceError):
        assert len(list(VideoSource(str(tmp_path / "clip.mkv"), 30).frames())) <= 91


def test_a_folder_of_bad_and_odd_pictures_goes_on_to_the_recognizer(tmp_path: Path) -> None:
    """What is damaged, too large or unusual is passed on as it is; nothing of a file's metadata goes with what is converted."""
    good = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 160, 3), np.uint8))
    files = {name: data for name, (data, _) in bad_pictures(good).items()} | odd_pictures(good)
    told = Image.Exif()
    told[0x0112], told[0x010F] = 6, "CAMERA-OF-A-PERSON"
    files["turned.webp"] = encoded(good, "WEBP", exif=told)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    source = FolderSource(tmp_path, 5)
    stills = list(source.frames())
    assert len(stills) == len([n for n in files if not n.endswith(".gif")])
    by_name = dict(zip(sorted(n for n in files if not n.endswith(".gif")), stills, strict=True))
    for name in ("bomb.png", "truncated.png", "text.jpg", "sixteen.png", "alpha.png"):
        assert by_name[name].jpeg == files[name], name
    turned = Image.open(io.BytesIO(by_name["turned.webp"].jpeg))
    assert (turned.format, turned.size) == ("JPEG", (90, 160))
    assert b"CAMERA-OF-A-PERSON" not in by_name["turned.webp"].jpeg
