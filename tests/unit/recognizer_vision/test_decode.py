"""Every bad picture is a typed error that says what to do; every odd one is converted."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from services.recognizer.decode import (
    MOST_PIXELS,
    CorruptImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    NotAnImageError,
    decode,
)

W, H = 80, 48


def picture(mode="RGB", size=(W, H)):
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 255, size[0])[None, :, None] + rng.normal(0, 8, (size[1], size[0], 3))
    return Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8)).convert(mode)


def encoded(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP"])
def test_pictures_come_out_as_bgr(form):
    blue = Image.new("RGB", (W, H), (0, 0, 250))
    pixels = decode(encoded(blue, form))
    assert pixels.shape == (H, W, 3)
    assert pixels.dtype == np.uint8
    assert pixels[..., 0].mean() > 240
    assert pixels[..., 2].mean() < 12


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"this is text named car.jpg\n" * 50, b"\xff\xd8\xff", b"%PDF-1.7"]
)
def test_what_is_no_picture_is_said_so(data):
    with pytest.raises((NotAnImageError, CorruptImageError), match=r"send|transfer"):
        decode(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_pictures_are_refused(form, share):
    data = encoded(picture(size=(400, 300)), form)
    with pytest.raises((CorruptImageError, NotAnImageError), match=r"transfer it again|send one of"):
        decode(data[: int(len(data) * share)])


def test_bit_flips_never_raise_anything_else():
    rng = np.random.default_rng(3)
    for form in ("JPEG", "PNG", "WEBP", "GIF"):
        good = np.frombuffer(encoded(picture(), form), np.uint8)
        for _ in range(60):
            bad = good.copy()
            places = rng.integers(0, len(bad), 6)
            bad[places] ^= rng.integers(1, 255, 6).astype(np.uint8)
            with contextlib.suppress(
                NotAnImageError, CorruptImageError, ImageTooLargeError, ImageTooSmallError
            ):
                assert decode(bad.tobytes()).ndim == 3


def bomb(width, height):
    """A PNG whose header promises more pixels than anybody should decode."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_by_its_header():
    assert MOST_PIXELS < 30_000 * 30_000
    with pytest.raises(ImageTooLargeError, match="scale the picture down"):
        decode(bomb(30_000, 30_000))


def test_one_pixel_is_too_small():
    with pytest.raises(ImageTooSmallError, match="at least"):
        decode(encoded(picture(size=(1, 1)), "PNG"))


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("CMYK", "JPEG"),
        ("L", "PNG"),
        ("1", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("RGBA", "WEBP"),
    ],
)
def test_odd_colour_models_are_converted(mode, form):
    pixels = decode(encoded(picture(mode), form))
    assert pixels.shape == (H, W, 3)
    left, right = pixels[:, : W // 4].mean(), pixels[:, -W // 4 :].mean()
    assert right > left + 60


def test_sixteen_bits_become_eight():
    ramp = np.tile(np.linspace(0, 65535, W), (H, 1)).astype(np.uint16)
    pixels = decode(encoded(Image.fromarray(ramp), "PNG"))
    assert pixels[:, 0].max() < 5
    assert pixels[:, -1].min() > 250


def test_transparent_areas_become_grey():
    clear = Image.new("RGBA", (W, H), (255, 0, 0, 0))
    assert (decode(encoded(clear, "PNG")) == 128).all()


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (W, H), c) for c in ("white", "black", "black")]
    for form in ("GIF", "WEBP"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        assert decode(data).min() > 250


def test_the_stored_rotation_is_applied_and_metadata_goes_no_further():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    exif.get_ifd(0x8825)[1] = "N"
    pixels = decode(encoded(picture(), "JPEG", exif=exif))
    assert pixels.shape == (W, H, 3)
    assert type(pixels) is np.ndarray
    top, bottom = pixels[: W // 4].mean(), pixels[-W // 4 :].mean()
    assert abs(top - bottom) > 60
