"""Where frames come from: a generated clip, a folder of pictures, a video file, a camera's URL.

Rules
-----
1. A source gives JPEG bytes, encoded once; a picture that is JPEG already is passed on as it is.
2. A recording's times are its start plus the place in it; a camera's are the clock's.
3. Opening and reading a camera time out; what cannot be used says so with the next step.
4. A video file that ends long before the time that its header promises is incomplete, and that is said after its frames.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
CLIP_FPS = 8.0
PICTURES_APART_S = 30.0  # longer than any pass: each picture of a folder stands for itself
_QUALITY = 90
_PLAIN_MODES, _MOST_PIXELS = ("RGB", "L"), 25_000_000  # others are not converted here
_OPEN_S, _READ_S = 10.0, 10.0
_SHORT_S, _SHORT_SHARE = 1.0, 0.1  # what a whole video may end before its time


class SourceError(Exception):
    """A source that cannot be opened or read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Still:
    """A frame of a source: seconds since the source's start, JPEG bytes."""

    at: float
    jpeg: bytes


class Source(Protocol):
    """Something that gives frames.

    Attributes:
        name: what to call it.
        live: a camera, which does not wait; a recording does.
        generated: made up, so that its plates are nobody's.
        total: how many frames it has, or None where that is not known.
        seconds: how long it lasts, 0 where that is not known.
    """

    name: str
    live: bool
    generated: bool
    total: int | None
    seconds: float

    def frames(self) -> Iterator[Still]:
        """Yield the frames in order.

        Raises:
            SourceError: the source cannot be opened or read.
        """


class ClipSource:
    """Generated street scenes: deterministic by seed, with the plates asked for among them."""

    live = False
    generated = True

    def __init__(self, seed: int, passes: int, plates: Sequence[str]) -> None:
        from scenes.clip import Clip
        from scenes.texts import draw_text

        rng = random.Random(f"gateway {seed}")  # noqa: S311 - scenes that can be had again, nothing secret
        texts = [draw_text(rng, "us") for _ in range(max(0, passes - len(plates)))]
        for plate in plates:
            texts.insert(rng.randint(0, len(texts)), plate)
        try:
            self._clip = Clip(seed, CLIP_FPS, texts)
        except ValueError as error:
            raise SourceError(f"{error}: give --plate a text that plates carry, such as 8ABC123") from error
        self.name = f"generated street scenes, seed {seed}, {len(texts)} vehicles"
        self.total: int | None = len(self._clip)
        self.seconds = len(self._clip) / CLIP_FPS

    def frames(self) -> Iterator[Still]:
        """Yield the frames of the clip."""
        import cv2

        for index, image in enumerate(self._clip):
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            yield Still(index / CLIP_FPS, bytes(data))


class FolderSource:
    """Pictures in the order of their names: each for itself, or with ``fps`` as frames of one camera."""

    live = False
    generated = False

    def __init__(self, path: Path, fps: float) -> None:
        self._files = (
            sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES) if path.is_dir() else [path]
        )
        if not self._files:
            raise SourceError(f"{path} holds no pictures: give a folder with {', '.join(PICTURES)} files")
        self._apart = 1 / fps if fps else PICTURES_APART_S
        self.name = str(path)
        self.total: int | None = len(self._files)
        self.seconds = len(self._files) * self._apart

    def frames(self) -> Iterator[Still]:
        """Yield the pictures; what is no picture is passed on, for the recognizer to say so."""
        for index, file in enumerate(self._files):
            try:
                data = file.read_bytes()
            except OSError as error:
                raise SourceError(
                    f"{file} cannot be read ({error.strerror}): check its permissions"
                ) from error
            jpeg = data if file.suffix.lower() in {".jpg", ".jpeg"} else _as_jpeg(data)
            yield Still(index * self._apart, jpeg)


class VideoSource:
    """A video file or a camera's URL, through PyAV."""

    generated = False

    def __init__(self, location: str, sample: float) -> None:
        self._location, self._sample = location, sample
        self.live = "://" in location
        # Credentials of a camera's URL are not for the screen.
        self.name = location.rpartition("@")[2] if self.live else location
        self.total: int | None = None
        self.seconds = 0.0
        if not self.live:
            self._measure()

    def _measure(self) -> None:
        with self._open() as container:
            if container.duration:
                self.seconds = container.duration / 1_000_000
                rate = float(container.streams.video[0].average_rate or self._sample)
                self.total = max(1, round(self.seconds * min(rate, self._sample)))

    def _open(self) -> Any:
        import av

        options = {"rtsp_transport": "tcp"} if self._location.startswith("rtsp") else {}
        try:
            container = av.open(self._location, options=options, timeout=(_OPEN_S, _READ_S))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(
                f"{self.name} cannot be opened ({_told(error)}): check the address, the file and the credentials"
            ) from error
        if not container.streams.video:
            container.close()
            raise SourceError(
                f"{self.name} has no video: give a video file, a folder of pictures or a camera's URL"
            )
        return container

    def frames(self) -> Iterator[Still]:
        """Yield frames, at most ``sample`` a second."""
        import av

        with self._open() as container:
            container.streams.video[0].thread_type = "AUTO"
            due, begun, at = 0.0, None, 0.0
            try:
                for frame in container.decode(video=0):
                    if frame.time is None:
                        continue
                    begun = frame.time if begun is None else begun
                    at = max(0.0, frame.time - begun)
                    # Half a frame of patience: 30 frames a second sampled at 10 are every third.
                    if at + 0.005 < due:
                        continue
                    due = max(due + 1 / self._sample, at)
                    yield Still(at, _encoded(frame.to_image()))
            except (av.FFmpegError, OSError) as error:
                raise SourceError(f"{self.name} stopped giving frames ({_told(error)})") from error
        if self.seconds - at > max(_SHORT_S, _SHORT_SHARE * self.seconds):
            raise SourceError(
                f"{self.name} ends after {at:.0f} s of {self.seconds:.0f}: the file is incomplete, copy it again"
            )


def open_source(
    location: str | None, *, seed: int, passes: int, plates: Sequence[str], sample: float, fps: float
) -> Source:
    """Return the source of an argument: nothing (generated scenes), a folder, a file, a URL.

    Raises:
        SourceError: there is no such thing, or it holds no pictures.
    """
    if location is None:
        return ClipSource(seed, passes, plates)
    if "://" in location:
        return VideoSource(location, sample)
    path = Path(location)
    if not path.exists():
        raise SourceError(
            f"there is no {location}: give a folder of pictures, a video file or a camera's URL"
        )
    if path.is_dir() or path.suffix.lower() in PICTURES:
        return FolderSource(path, fps)
    return VideoSource(location, sample)


def _as_jpeg(data: bytes) -> bytes:
    """Return a picture as JPEG, upright and without metadata; what is odd or damaged as it is, for the recognizer to judge."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in _PLAIN_MODES or picture.width * picture.height > _MOST_PIXELS:
                return data
            return _encoded(ImageOps.exif_transpose(picture))
    # A decompression bomb is an error of its own; decoders of damaged files raise whatever their parser met.
    except (OSError, SyntaxError, ValueError, IndexError, KeyError, Image.DecompressionBombError):
        return data


def _encoded(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _told(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
