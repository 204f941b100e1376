"""Freed memory is kept: a thread that allocates a frame again and again does not fault its pages in again."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ROUNDS = 50
_PROGRAM = f"""
import resource, sys, threading
import numpy as np
from services.recognizer.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()

def frames():
    for _ in range(20):
        work()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range({_ROUNDS}):
        work()
    print((resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before) / {_ROUNDS})

def work():
    frame = np.ones((720, 1280, 3), np.uint8)
    inputs = frame[:384, :640].astype(np.float32)
    del frame
    inputs * 2

thread = threading.Thread(target=frames)
thread.start()
thread.join()
"""


def faults(how: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True, timeout=60
    )
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator only")
def test_a_threads_frames_are_not_faulted_in_again() -> None:
    kept = faults("kept")
    assert kept < 50
    assert kept < faults("as it comes") / 10
