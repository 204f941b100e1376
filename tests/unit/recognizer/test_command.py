"""``plateward recognize`` on generated scenes: table, drawings, JSON, and files that are no pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import pytest

from scenes.clip import Clip
from scenes.street import render_scene


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clients.cli", "recognize", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"COLUMNS": "160"}
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed, text in ((5, "8ABC123"), (0, "AWLQ95")):
        cv2.imwrite(str(folder / f"{text}.png"), render_scene(seed, plates=[text]).image)
    return folder


@pytest.mark.req("R-REC-1")
def test_json_is_one_object_a_picture_in_the_scorer_s_format(pictures: Path) -> None:
    done = run(pictures, "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["image"] for row in rows] == ["8ABC123.png", "AWLQ95.png"]
    for row in rows:
        assert row["image"].removesuffix(".png") in [p["text"] for p in row["plates"]]
        assert row["ms"] > 0
        for plate in row["plates"]:
            x, y, width, height = plate["box"]
            assert x >= 0
            assert y >= 0
            assert width > height > 0
            assert 0 <= plate["confidence"] <= 1
            assert plate["candidates"][0] == plate["text"]


@pytest.mark.req("R-REC-1")
def test_the_table_shows_plates_and_vehicles(pictures: Path) -> None:
    done = run(pictures / "8ABC123.png")
    assert done.returncode == 0, done.stderr
    assert "8ABC123" in done.stdout
    assert any(kind in done.stdout for kind in ("car", "truck", "bus"))


def test_one_picture_is_drawn_to_a_file_and_several_to_a_folder(pictures: Path, tmp_path: Path) -> None:
    assert run(pictures / "8ABC123.png", "--draw", tmp_path / "one.png").returncode == 0
    assert cv2.imread(str(tmp_path / "one.png")) is not None
    assert run(pictures, "--draw", tmp_path / "all").returncode == 0
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["8ABC123.png", "AWLQ95.png"]


def test_a_name_that_cannot_be_drawn_to_says_so(pictures: Path, tmp_path: Path) -> None:
    done = run(pictures / "8ABC123.png", "--draw", tmp_path / "one.xyz")
    assert done.returncode == 1
    assert ".png or .jpg" in done.stderr
    assert "Traceback" not in done.stderr


def test_files_that_are_no_pictures_fail_and_the_others_are_read(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    done = run(
        tmp_path / "bad.jpg", tmp_path / "missing.png", tmp_path / "empty", pictures / "8ABC123.png", "--json"
    )
    assert done.returncode == 1
    assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == ["8ABC123.png"]
    for name in ("bad.jpg", "missing.png", "empty"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_plates_below_the_wanted_confidence_are_left_out(pictures: Path) -> None:
    done = run(pictures / "8ABC123.png", "--json", "--min-confidence", "1")
    assert done.returncode == 0, done.stderr
    assert all(p["confidence"] >= 0.999 for p in json.loads(done.stdout)["plates"])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("video") / "street.mkv"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 1280, 720, "yuv420p", 20_000_000
        for image in Clip(11, fps=5, passes=["7KXR482", "8ABC123"]):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return file


@pytest.mark.req("R-REC-4")
def test_a_video_gives_one_row_a_pass_and_one_object_a_frame(video: Path) -> None:
    done = run(video)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("7KXR482") == done.stdout.count("8ABC123") == 1
    rows = [json.loads(line) for line in run(video, "--json").stdout.splitlines()]
    assert [r["image"] for r in rows[:2]] == ["street.mkv#0", "street.mkv#1"]
    assert len(rows) == 28


def test_a_video_that_stops_in_the_middle_gives_what_it_has_and_says_so(video: Path, tmp_path: Path) -> None:
    data = video.read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.mp4").write_text("no video")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "half.mkv: the video" in done.stderr
    assert "text.mp4: the video cannot be played" in done.stderr
    assert "7KXR482" in done.stdout
    assert "Traceback" not in done.stderr
