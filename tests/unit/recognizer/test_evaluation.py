"""``plateward eval``: counts as the training's evaluation does, and a sheet that shows each error."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from clients.cli.drawing import drawn
from clients.cli.scoring import Label, Score, TruthError, labels_of
from clients.cli.sheet import compared
from scenes.street import render_scene
from services.recognizer.results import PlateRead, VehicleRead
from training.evaluate import Tally, tally_image


def plate(text: str, x: float, *, candidates: tuple[str, ...] = (), readable: bool = True) -> PlateRead:
    corners = np.array([[x, 10], [x + 60, 10], [x + 60, 40], [x, 40]], np.float32)
    ranked = tuple((t, 0.5) for t in (text, *candidates))
    return PlateRead(text if readable else "", 0.9, (), ranked, (x, 10, 60, 30), corners, 0.8, readable)


def test_it_counts_as_the_trainings_evaluation_does() -> None:
    rng = random.Random(7)
    ours, theirs = Score(), Tally()
    for _ in range(300):
        texts = [rng.choice(("8ABC123", "8A8C123", "O0I1", "OOII", "AB")) for _ in range(4)]
        plates = [
            plate(t, 40 * rng.randint(0, 8), candidates=(rng.choice(texts),), readable=rng.random() < 0.8)
            for t in texts[: rng.randint(0, 3)]
        ]
        boxed = rng.random() < 0.8
        labels = [
            Label(t, (40 * rng.randint(0, 8), 10, 60, 30) if boxed else None)
            for t in texts[: rng.randint(0, 2)]
        ]
        ours.add(plates, labels)
        tally_image(theirs, "a.jpg", tuple(plates), [(label.text, label.box) for label in labels])
    report = theirs.report()
    names = {"folded": "folded", "top-10 folded": "top10_folded", "found": "recall"}
    for name, their_name in (names | {"false reads an image": "false_reads_per_image"}).items():
        assert ours.measures()[name] == pytest.approx(report[their_name], abs=1e-4), name
    assert 0 < ours.right < ours.plates


def test_each_kind_of_error_is_told_apart() -> None:
    label = Label("8ABC123", (0, 10, 60, 30))
    score = Score()
    assert score.add([plate("8ABCI23", 0)], [label]) == []
    assert [f.kind for f in score.add([plate("8AXC123", 0)], [label])] == ["misread"]
    assert [f.kind for f in score.add([plate("8ABC123", 0, readable=False)], [label])] == ["unreadable"]
    assert [f.kind for f in score.add([plate("8ABC123", 300)], [label])] == ["missed", "false read"]


def test_characters_that_differ_are_marked() -> None:
    assert compared("8A8C1Z3", "8ABCI23") == [
        ("8", False), ("A", False), ("8", True), ("C", False), ("1", False), ("Z", True), ("3", False),
    ]  # fmt: skip


def test_labels_that_cannot_be_used_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"truth\.jsonl"):
        labels_of(tmp_path)
    (tmp_path / "truth.jsonl").write_text('{"image": "a.jpg"}\n')
    with pytest.raises(TruthError, match="8ABC123"):
        labels_of(tmp_path)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clients.cli", "eval", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_sheet_holds_every_error_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    rows = []
    for seed, shown, said in ((5, "8ABC123", "8ABC123"), (5, "8ABC123", "<b>7XYZ999"), (2, "8ABC123", "")):
        name = f"{len(rows)}.jpg"
        scene = render_scene(seed, plates=[shown])
        cv2.imwrite(str(tmp_path / name), scene.image)
        rows.append({"image": name, "plates": [{"text": said, "box": scene.plates[0].box}] if said else []})
    rows.append({"image": "gone.jpg", "plates": [{"text": "8ABC123", "box": [0, 0, 9, 9]}]})
    (tmp_path / "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sheet, predictions = tmp_path / "out" / "errors.html", tmp_path / "read.jsonl"
    done = run(tmp_path, "--sheet", sheet, "--predictions", predictions)
    assert done.returncode == 1
    assert "gone.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(predictions.read_text().splitlines()) == 3
    html = sheet.read_text("utf-8")
    assert "&lt;b&gt;7XYZ999" in html
    assert "misread (1)" in html
    assert "0.333" in html
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', html) == []


def test_a_folder_without_labels_ends_with_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert "truth.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_labels_stay_on_the_picture() -> None:
    image = np.full((120, 160, 3), 128, np.uint8)
    vehicles = [VehicleRead((-20, -10, 400, 300), "motorcycle", 0.9, "purple", 0.8)]
    out = drawn(image, [plate("8ABC123", 130), plate("", -30, readable=False)], vehicles)
    assert out.shape == image.shape
    assert (image == 128).all()
    assert (out != 128).any()
