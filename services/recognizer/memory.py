"""Keeps glibc from giving every frame's memory back to the kernel.

Rules
-----
1. In threads other than the first, glibc trims what is freed after each frame, and the next frame faults every page in
   again: 6 ms of 22 for a picture of 1280 x 720 (``make bench-recognizer``). With one arena and a high threshold it is
   kept; resident memory stays bounded by what the workers hold at once.
2. Elsewhere than on glibc nothing is changed.

Source: mallopt(3), M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT_BYTES = 64 * 1024 * 1024
_MAPPED_FROM_BYTES = 32 * 1024 * 1024  # the most that mallopt takes on 64 bits


def keep_freed_memory() -> bool:
    """Tell the allocator, before threads start; say whether it took it."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    wanted = (
        (_ARENA_MAX, 1),
        (_TRIM_THRESHOLD, _KEPT_BYTES),
        (_MMAP_THRESHOLD, _MAPPED_FROM_BYTES),
    )
    return mallopt is not None and all(mallopt(name, value) == 1 for name, value in wanted)
