"""JPEG on the GPU by nvImageCodec, behind the interface of ``decode``: what it does not decode, the CPU does.

Rules
-----
1. The header is checked before the GPU sees a byte: size limits hold as on the CPU.
2. Only a whole, upright JPEG in colour goes to the GPU; a file without its end marker goes to the CPU, which says what is
   wrong with it.
3. What the GPU does not decode (it gives nothing, or an error) is decoded by the CPU, whose errors are typed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from services.recognizer.decode import decode, opened
from services.recognizer.engine import Provider
from services.recognizer.results import Image

Decode = Callable[[bytes], Image]
_END = b"\xff\xd9"
_ORIENTATION, _UPRIGHT = 0x0112, 1


def decoder(provider: Provider) -> Decode:
    """Return what decodes pictures for a provider: nvImageCodec on GPU nodes that have it, the CPU elsewhere."""
    codec = None if provider == "cpu" else _codec()
    return decode if codec is None else GpuDecoder(codec, codec.Decoder())


def has_gpu_decoder() -> bool:
    """Say whether nvImageCodec is installed."""
    return _codec() is not None


def _codec() -> Any:
    try:
        return importlib.import_module("nvidia.nvimgcodec")
    except ImportError:
        return None


class GpuDecoder:
    """Decodes JPEG by nvImageCodec; safe to call from several threads where its decoder is."""

    def __init__(self, codec: Any, decoder: Any) -> None:
        """Wrap a decoder of the module ``nvidia.nvimgcodec`` (0.5 and later)."""
        self._decoder = decoder
        self._params = codec.DecodeParams(color_spec=codec.ColorSpec.SRGB, apply_exif_orientation=False)

    def __call__(self, data: bytes) -> Image:
        """Decode a picture to (height, width, 3) BGR, upright; raises what ``decode`` raises."""
        with opened(data) as picture:
            plain = picture.format == "JPEG" and picture.mode == "RGB" and data.endswith(_END)
            if not plain or picture.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
                return decode(data)
            size = picture.size
        pixels = self._pixels(data)
        if pixels is None or pixels.shape != (size[1], size[0], 3):
            return decode(data)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)

    def _pixels(self, data: bytes) -> Image | None:
        try:
            found = self._decoder.decode(data, params=self._params)
            return None if found is None else np.asarray(found.cpu())
        except RuntimeError:
            return None
