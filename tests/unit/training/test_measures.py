"""The measures of `training.evaluate`, and the targets and calibration around the reader, on cases done by hand."""

import numpy as np
import pytest

from services.recognizer.results import PlateRead
from training import calibrate, evaluate
from training.reader_data import IGNORED, column_targets


def read(text, box, readable=True):
    candidates = ((text, 0.9), ("ZZZ", 0.1))
    return PlateRead(text, 0.9, (), candidates, box, np.zeros((4, 2), np.float32), 0.9, readable)


def test_folding_equates_what_no_photograph_decides():
    assert evaluate.folded("io-1 0") == "1010"


def test_a_tally_counts_right_found_listed_and_false():
    tally = evaluate.Tally()
    truth = [("ABC123", (10, 10, 40, 20)), ("ZZZ", (200, 10, 40, 20)), ("MISSED", (10, 200, 40, 20))]
    plates = (
        read("A8C123", (10, 10, 40, 20)),
        read("AAA", (200, 12, 40, 20)),
        read("FALSE1", (400, 400, 40, 20)),
    )
    evaluate.tally_image(tally, "a.jpg", (*plates, read("", (10, 200, 40, 20), readable=False)), truth)
    report = tally.report()
    assert report["plates"] == 3
    assert report["folded"] == 0
    assert report["top10_folded"] == pytest.approx(1 / 3, abs=1e-3)
    assert report["recall"] == pytest.approx(2 / 3, abs=1e-3)
    assert report["false_reads_per_image"] == 1
    assert ("a.jpg", "MISSED", "") in tally.misses


def test_average_precision_of_a_perfect_and_of_a_half_right_detector():
    assert evaluate.average_precision([(0.9, True), (0.8, True)], 2) == pytest.approx(1)
    assert evaluate.average_precision([(0.9, False), (0.8, True)], 1) == pytest.approx(0.5)
    assert evaluate.average_precision([], 3) == 0


def test_calibration_error_of_an_honest_and_of_a_boastful_reader():
    assert calibrate.calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert calibrate.calibration_error([0.95] * 4, [True, True, False, False]) == pytest.approx(0.45)


def test_column_targets_place_characters_and_ignore_unknown_centres():
    labels = np.array([[11, 2, 0], [5, 6, 0]], np.uint8)
    centres = np.array([[0.5, 0.99, -1], [-1, -1, -1]], np.float16)
    targets = column_targets(labels, centres)
    assert targets[0, 20] == 11
    assert targets[0, 39] == 2
    assert (targets[0] > 0).sum() == 2
    assert (targets[1] == IGNORED).all()
