"""JPEG on the GPU: the same pixels as the CPU's, and the CPU's typed errors for whatever it does not decode.

Runs on nvImageCodec's own CPU backend where the package is installed (``pip install nvidia-nvimgcodec-cu12``); what is
passed to it and what becomes of its refusals is tested everywhere.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from services.recognizer import gpu_decode
from services.recognizer.decode import CorruptImageError, ImageError, ImageTooLargeError, decode
from services.recognizer.gpu_decode import GpuDecoder, decoder


def photograph() -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)


def encoded(form: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photograph()).convert(mode).save(out, form, **options)
    return out.getvalue()


class Codec:
    """Stands where ``nvidia.nvimgcodec`` is not installed: decodes by OpenCV, and refuses what it is told to."""

    class ColorSpec:
        SRGB = "srgb"

    def __init__(self, refuses: bool = False, raises: bool = False) -> None:
        self.refuses, self.raises = refuses, raises
        self.given = 0

    def DecodeParams(self, **options: object) -> dict[str, object]:
        return options

    def decode(self, data: bytes, params: dict[str, object]) -> object:
        self.given += 1
        assert params == {"color_spec": "srgb", "apply_exif_orientation": False}
        if self.raises:
            raise RuntimeError("no memory on the device")
        if self.refuses:
            return None
        self.pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        return self

    def cpu(self) -> np.ndarray:
        return self.pixels


def test_without_a_gpu_the_cpu_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoder("cpu") is decode
    monkeypatch.setattr(gpu_decode, "_codec", lambda: None)
    assert decoder("tensorrt") is decode


@pytest.mark.parametrize("trouble", [{}, {"refuses": True}, {"raises": True}])
def test_a_whole_jpeg_goes_to_the_gpu_and_a_refusal_to_the_cpu(trouble: dict[str, bool]) -> None:
    codec = Codec(**trouble)
    data = encoded()
    assert np.abs(GpuDecoder(codec, codec)(data).astype(int) - decode(data)).max() <= 2
    assert codec.given == 1


def test_what_the_gpu_is_never_given() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    codec = Codec()
    gpu = GpuDecoder(codec, codec)
    for data in (
        encoded("PNG"),
        encoded("WEBP"),
        encoded(mode="CMYK"),
        encoded(mode="L"),
        encoded(exif=turned),
    ):
        assert np.array_equal(gpu(data), decode(data))
    for data in (b"no picture", encoded()[:2000]):
        with pytest.raises(ImageError):
            gpu(data)
    with pytest.raises(CorruptImageError):
        gpu(encoded()[:-2])
    assert codec.given == 0


def test_a_bomb_does_not_reach_the_gpu() -> None:
    codec = Codec()
    data = bytearray(encoded())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (30_000).to_bytes(2, "big") * 2
    with pytest.raises(ImageTooLargeError):
        GpuDecoder(codec, codec)(bytes(data))
    assert codec.given == 0


def test_the_real_library_gives_the_same_pixels() -> None:
    codec = pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed (plateward[gpu])")
    backends = [codec.Backend(codec.CPU_ONLY)]
    real = codec.Decoder(device_id=codec.NVIMGCODEC_DEVICE_CPU_ONLY, backends=backends)
    data = encoded()
    assert np.abs(GpuDecoder(codec, real)(data).astype(int) - decode(data)).max() <= 2
    assert real.decode(data[:2000]) is None
