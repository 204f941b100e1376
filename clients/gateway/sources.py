"""Where frames come from: generated scenes, a folder of pictures, a video file, an RTSP camera.

A source is a plain iterator of frames with rising numbers and times. It runs in a thread of its own: drawing, decoding and
encoding take longer than anything else the gateway does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_QUALITY = 88
_PICTURE_APART = timedelta(seconds=30)
_RTSP_TIMEOUT_S = (10.0, 10.0)

Image = npt.NDArray[np.uint8]


class SourceError(Exception):
    """The source cannot be played; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, encoded once."""

    number: int
    at: datetime
    jpeg: bytes


def encode(image: Image) -> bytes:
    """Return a picture, (height, width, 3) BGR, as JPEG bytes."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise SourceError("a frame could not be encoded")
    return bytes(data)


def generated(seed: int, fps: float, plates: Sequence[str], passes: int) -> Iterator[Frame]:
    """Yield the frames of a generated clip: vehicles passing a camera, the given plates among them."""
    import random

    from scenes.clip import Clip
    from scenes.texts import draw_text

    rng = random.Random(f"gateway {seed}")  # noqa: S311 - a seeded clip, nothing secret
    texts = [draw_text(rng, "us") for _ in range(max(0, passes - len(plates)))]
    for plate in plates:
        texts.insert(rng.randint(0, len(texts)), plate)
    clip = Clip(seed, fps=fps, passes=texts)
    begin = datetime.now(UTC) - timedelta(seconds=len(clip) / fps)
    for number, image in enumerate(clip, start=1):
        yield Frame(number, begin + timedelta(seconds=number / fps), encode(image))


def pictures(folder: Path) -> Iterator[Frame]:
    """Yield the pictures of a folder, or one picture, each as a pass of its own.

    Raises:
        SourceError: there is no picture.
    """
    files = (
        sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES) if folder.is_dir() else [folder]
    )
    if not files:
        raise SourceError(f"{folder} holds no picture ({', '.join(sorted(PICTURES))})")
    begin = datetime.now(UTC) - len(files) * _PICTURE_APART
    for number, file in enumerate(files, start=1):
        yield Frame(number, begin + number * _PICTURE_APART, file.read_bytes())


def video(url: str) -> Iterator[Frame]:
    """Yield the frames of a video file or an RTSP camera.

    Raises:
        SourceError: it cannot be opened, or it stops in the middle.
    """
    import av

    live = "://" in url
    try:
        with av.open(
            url, timeout=_RTSP_TIMEOUT_S, options={"rtsp_transport": "tcp"} if live else {}
        ) as container:
            stream = container.streams.video[0]
            begin = datetime.now(UTC)
            for number, frame in enumerate(container.decode(stream), start=1):
                at = (
                    datetime.now(UTC)
                    if live or frame.time is None
                    else begin + timedelta(seconds=float(frame.time))
                )
                yield Frame(number, at, encode(frame.to_ndarray(format="bgr24")))
    except (av.FFmpegError, IndexError, OSError) as error:
        raise SourceError(
            f"{url} cannot be played ({type(error).__name__}): check the address or the file"
        ) from error


def open_source(source: str, *, seed: int, fps: float, plates: Sequence[str], passes: int) -> Iterator[Frame]:
    """Return the frames of what the user named; nothing means generated scenes.

    Raises:
        SourceError: there is no such file or folder.
    """
    if not source:
        return generated(seed, fps, plates, passes)
    if "://" in source:
        return video(source)
    path = Path(source)
    if path.is_dir() or path.suffix.lower() in PICTURES:
        if not path.exists():
            raise SourceError(f"there is no {path}")
        return pictures(path)
    if not path.is_file():
        raise SourceError(
            f"there is no {path}: give a folder of pictures, a video file or an rtsp:// address"
        )
    return video(source)
