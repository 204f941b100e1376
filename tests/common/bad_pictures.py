"""Pictures that nobody should send, and odd ones that must be read: name, bytes, and the reason of the refusal."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from plateward.common.v1 import errors_pb2

INVALID, LARGE = errors_pb2.ERROR_REASON_IMAGE_INVALID, errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    """Return a picture as a file of a format."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def bad_pictures(good: Image.Image) -> dict[str, tuple[bytes, int]]:
    """Return what is refused: file name to bytes and reason."""
    whole = {form: encoded(good, form) for form in ("JPEG", "PNG", "WEBP")}
    made = {f"truncated.{form.lower()}": (data[: len(data) // 2], INVALID) for form, data in whole.items()}
    # In the middle a lossy WebP carries no check sum: what is damaged there is a picture all the same.
    for form, place in (("PNG", len(whole["PNG"]) // 2), ("WEBP", 20)):
        corrupt = bytearray(whole[form])
        corrupt[place : place + 64] = bytes(64)
        made[f"corrupt.{form.lower()}"] = bytes(corrupt), INVALID
    animated = encoded(good.resize((64, 36)), "GIF")
    headless = b"\xff\xd8" + bytes(500) + whole["JPEG"][502:]
    return made | {
        "corrupt.jpg": (headless, INVALID),
        "text.jpg": (b"this is text that somebody named .jpg\n" * 40, INVALID),
        "page.jpg": (b"<html><body>404</body></html>", INVALID),
        "one.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), INVALID),
        "bomb.png": (bomb_png(30_000, 30_000), LARGE),
        "bomb.jpg": (bomb_jpeg(whole["JPEG"], 30_000), LARGE),
        "bomb.gif": (animated[:6] + struct.pack("<HH", 30_000, 30_000) + animated[10:], LARGE),
    }


def odd_pictures(good: Image.Image) -> dict[str, bytes]:
    """Return what is unusual and is read all the same."""
    turned, small = Image.Exif(), good.resize((640, 360))
    turned[0x0112] = 6
    turned.get_ifd(0x8825).update({1: "N", 2: (38.0, 24.0, 31.0)})
    wide = np.asarray(small.convert("L"), np.uint16) * 257
    return {
        "cmyk.jpg": encoded(good.convert("CMYK"), "JPEG"),
        "grey.jpg": encoded(good.convert("L"), "JPEG"),
        "progressive.jpg": encoded(good, "JPEG", progressive=True),
        "sixteen.png": encoded(Image.fromarray(wide), "PNG"),
        "alpha.png": encoded(small.convert("RGBA"), "PNG"),
        "palette.png": encoded(small.convert("P"), "PNG"),
        "alpha.webp": encoded(small.convert("RGBA"), "WEBP"),
        "animated.webp": encoded(small, "WEBP", save_all=True, append_images=[small.rotate(180)]),
        "animated.gif": encoded(small, "GIF", save_all=True, append_images=[small.rotate(180)]),
        "turned.jpg": encoded(good.rotate(90, expand=True), "JPEG", exif=turned, quality=92),
    }


def bomb_png(width: int, height: int) -> bytes:
    """Return a PNG of so many grey pixels, the first twentieth of them there, in 50 kB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    rows = b"".join(packer.compress(row * 100) for _ in range(height // 2000)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb_jpeg(whole: bytes, side: int) -> bytes:
    """Return a JPEG whose frame header promises so many pixels a side."""
    data = bytearray(whole)
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = side.to_bytes(2, "big") * 2
    return bytes(data)
