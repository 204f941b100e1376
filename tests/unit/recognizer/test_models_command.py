"""``plateward models``: what is there, what is wrong with it, and what a machine without GPU is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.recognizer.engine import available
from services.recognizer.pipeline import MODELS_FOLDER, Models


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clients.cli", "models", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={"COLUMNS": "160", "PATH": ""}
    )


def test_the_list_names_version_digests_and_hardware() -> None:
    done = run("list")
    assert done.returncode == 0, done.stderr
    for part in (Models.load(MODELS_FOLDER).version, "detector", "reader", "cpu", "tensorrt"):
        assert part in done.stdout


def test_whole_models_are_verified_and_altered_ones_refused(tmp_path: Path) -> None:
    done = run("verify")
    assert (done.returncode, "8ABC123 read" in done.stdout) == (0, True), done.stderr
    shutil.copytree(MODELS_FOLDER, tmp_path / "m")
    altered = bytearray((tmp_path / "m" / "reader.onnx").read_bytes())
    altered[len(altered) // 2] ^= 1
    (tmp_path / "m" / "reader.onnx").write_bytes(altered)
    done = run("verify", "--models", tmp_path / "m")
    assert done.returncode == 1
    assert "reader.onnx is not the file" in done.stderr
    assert run("list", "--models", tmp_path / "nothing").returncode == 1
    assert run("verify", "--provider", "abacus").returncode == 2


def test_without_a_gpu_nothing_is_built_and_it_says_so(tmp_path: Path) -> None:
    if "tensorrt" in available():
        pytest.skip("this ONNX Runtime has TensorRT")
    done = run("build", "--cache", tmp_path / "engines")
    assert done.returncode == 2
    assert "nothing was built" in done.stderr
    assert "A CPU needs no build" in done.stderr
    assert not (tmp_path / "engines").exists()
