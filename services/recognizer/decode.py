"""Bytes of a picture to BGR pixels, or a typed error that says what to do. Metadata (EXIF, GPS) goes no further.

Pillow decodes, since it reports truncated files, which OpenCV fills with grey and passes on; both stand on libjpeg-turbo
and take the same time. Sixteen bits, CMYK, palettes, alpha and animations (first frame) are converted; the stored rotation
is applied. Decoding at half size would save a quarter of the decoding and cost plates of 20 pixels their text.
"""

from __future__ import annotations

import io
import threading
from contextlib import nullcontext

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from services.recognizer import results

MOST_PIXELS = 50_000_000
LARGE_PIXELS = 9_000_000  # more than 4K: decoded one at a time, since copies of such a picture add up
LEAST_SIDE = 16
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
BEHIND_ALPHA = (128, 128, 128)
_LARGE = threading.Lock()
_ORIENTATION, _UPRIGHT = 0x0112, 1  # EXIF
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "F")

# Pillow's own limit only warns at first; `decode` refuses by the header before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None


class ImageError(ValueError):
    """A picture that cannot be used. The message ends with what the caller can do about it."""


class NotAnImageError(ImageError):
    """The bytes are no picture in a format that is read here."""


class CorruptImageError(ImageError):
    """The bytes begin as a picture and do not continue as one."""


class ImageTooLargeError(ImageError):
    """The picture has more pixels than are decoded."""


class ImageTooSmallError(ImageError):
    """The picture is too small to show a plate."""


def decode(data: bytes) -> results.Image:
    """Decode a picture.

    Args:
        data: a whole JPEG, PNG, WebP, BMP or GIF file.

    Returns:
        (height, width, 3) BGR, upright.

    Raises:
        NotAnImageError, CorruptImageError, ImageTooLargeError, ImageTooSmallError: each with the next step.
    """
    with opened(data) as picture, _LARGE if picture.width * picture.height > LARGE_PIXELS else nullcontext():
        try:
            picture.load()
            # Pillow copies the picture for each of these steps, also where there is nothing to do.
            turned = picture.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT
            pixels = _to_rgb(ImageOps.exif_transpose(picture) if turned else picture)
        # Decoders of damaged files raise whatever their parser met; all of it means the same to the caller.
        except (
            OSError,
            SyntaxError,
            ValueError,
            IndexError,
            KeyError,
            EOFError,
            TypeError,
            OverflowError,
        ) as error:
            message = (
                "the picture is damaged or incomplete; transfer it again or take it from the camera once more"
            )
            raise CorruptImageError(message) from error
    # OpenCV swaps channels in a fortieth of the time that numpy's strides take.
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)


def opened(data: bytes) -> Image.Image:
    """Read a picture's header; no pixel is decoded.

    Raises:
        NotAnImageError, ImageTooLargeError, ImageTooSmallError: each with the next step.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (OSError, SyntaxError, ValueError) as error:
        message = f"not a picture of a known format; send one of {', '.join(FORMATS)}"
        raise NotAnImageError(message) from error
    _check_size(*picture.size)
    return picture


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        message = f"{width} x {height} pixels are more than {MOST_PIXELS:,}; scale the picture down and send it again"
        raise ImageTooLargeError(message)
    if min(width, height) < LEAST_SIDE:
        message = f"{width} x {height} pixels cannot show a plate; send at least {LEAST_SIDE} x {LEAST_SIDE}"
        raise ImageTooSmallError(message)


def _to_rgb(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Any mode to (height, width, 3) RGB of 8 bits."""
    if picture.mode in _WIDE_MODES:
        wide = np.asarray(picture, dtype=np.float32)
        top = 65535.0 if float(wide.max()) > 255 else 255.0
        grey = np.clip(wide * (255.0 / top), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        ground = Image.new("RGBA", with_alpha.size, (*BEHIND_ALPHA, 255))
        picture = Image.alpha_composite(ground, with_alpha)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
