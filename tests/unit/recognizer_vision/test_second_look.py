"""Several looks at one plate agree on a text."""

import numpy as np
import pytest

from services.recognizer.read import Reading
from services.recognizer.second_look import agreed, other_cuts


def reading(*candidates):
    text, confidence = candidates[0] if candidates else ("", 0.0)
    return Reading(text, confidence, tuple((c, confidence) for c in text), tuple(candidates))


def test_nothing_read_stays_nothing():
    assert agreed([reading(), reading()], {}).text == ""


def test_one_look_alone_is_itself():
    one = reading(("7ABC123", 0.6), ("7ABC128", 0.2))
    best = agreed([one], {})
    assert best.characters == one.characters
    assert dict(best.candidates) == pytest.approx(dict(one.candidates))


def test_the_text_that_keeps_coming_wins():
    looks = [
        reading(("7ABC128", 0.6), ("7ABC123", 0.4)),
        reading(("7ABC123", 0.7)),
        reading(("7ABC123", 0.8)),
    ]
    best = agreed(looks, {})
    assert best.text == "7ABC123"
    assert best.confidence == pytest.approx((0.4 + 0.7 + 0.8) / 3)
    assert [t for t, _ in best.candidates] == ["7ABC123", "7ABC128"]


def test_a_format_that_no_plate_has_must_be_much_surer():
    close = reading(("6LSU2162", 0.5), ("6LSU216", 0.4))
    assert agreed([close], {}).text == "6LSU216"
    clear = reading(("6LSU2162", 0.95), ("6LSU216", 0.01))
    assert agreed([clear], {}).text == "6LSU2162"


def test_the_state_that_the_plate_shows_decides_between_formats():
    torn = reading(("51TA600", 0.44), ("5LTA600", 0.2))
    assert agreed([torn], {"US-CA": 0.9}).text == "5LTA600"
    close = reading(("4ABC123", 0.4), ("AABC123", 0.35))
    assert agreed([close], {"US-CA": 0.9}).text == "4ABC123"
    assert agreed([close], {"elsewhere": 1.0}).text == "4ABC123"


def test_confidences_stay_probabilities():
    best = agreed([reading(("AAAA999A", 0.5), ("7ABC123", 0.45))], {})
    assert all(0 <= p <= 1 for _, p in best.candidates)
    assert sum(p for _, p in best.candidates) == pytest.approx(0.95)


def test_other_cuts_are_crops_of_the_same_size_and_differ():
    crop = np.random.default_rng(1).integers(0, 255, (64, 160), np.uint8)
    cuts = other_cuts(crop)
    assert [c.shape for c in cuts] == [(64, 160)] * 4
    assert all((c != crop).any() for c in cuts)
