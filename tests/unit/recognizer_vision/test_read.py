"""CTC decoding against logits written by hand."""

import numpy as np
import pytest

from services.recognizer.read import (
    ALPHABET,
    beam_search,
    character_confidences,
    decode,
    normalise,
    softmax,
)

COLUMNS = 40


def columns(path, sure=0.98):
    """Probabilities of a path of characters, '-' the blank; each column gives `sure` to its own."""
    result = np.full((COLUMNS, 37), (1 - sure) / 36, np.float32)
    for t in range(COLUMNS):
        char = path[t] if t < len(path) else "-"
        result[t, 0 if char == "-" else ALPHABET.index(char) + 1] = sure
    return result


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("-A-B-1-", "ABC"[:2] + "1"),
        ("AAABBB", "AB"),
        ("AA-AA", "AA"),
        ("8-8-8", "888"),
        ("", ""),
        ("0123456789", "0123456789"),
    ],
)
def test_repeats_merge_and_blanks_part(path, text):
    reading = decode(columns(path))
    assert reading.text == text
    assert len(reading.characters) == len(text)


def test_the_string_is_as_sure_as_its_columns():
    reading = decode(columns("A-B", sure=1 - 1e-6))
    assert reading.confidence == pytest.approx(1, abs=1e-3)
    assert all(c == pytest.approx(1, abs=1e-3) for _, c in reading.characters)


def test_beam_search_sums_what_greedy_decoding_would_miss():
    """Two columns: 'A' in neither is likeliest, yet the three paths to 'A' together are."""
    probabilities = np.zeros((2, 37), np.float32)
    a = ALPHABET.index("A") + 1
    probabilities[:, 0], probabilities[:, a] = 0.6, 0.4
    ranked = dict(beam_search(probabilities))
    assert ranked["A"] == pytest.approx(0.4 * 0.4 + 2 * 0.6 * 0.4)
    assert ranked[""] == pytest.approx(0.36)
    assert beam_search(probabilities)[0][0] == "A"


def test_a_doubtful_character_gives_a_second_candidate():
    probabilities = columns("A-8-C")
    t, b = 2, ALPHABET.index("B") + 1
    eight = ALPHABET.index("8") + 1
    probabilities[t] = 0
    probabilities[t, eight], probabilities[t, b] = 0.6, 0.4
    reading = decode(probabilities)
    assert [c for c, _ in reading.candidates[:2]] == ["A8C", "ABC"]
    assert len(reading.candidates) <= 10
    confidences = [c for _, c in reading.candidates]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) <= 1 + 1e-6
    assert dict(reading.characters)["8"] == pytest.approx(0.6, abs=0.01)
    assert dict(reading.characters)["A"] > 0.9


def test_equal_neighbours_are_aligned_through_the_blank_between_them():
    probabilities = columns("7-7")
    probabilities[2] = 0
    probabilities[2, ALPHABET.index("7") + 1], probabilities[2, 0] = 0.7, 0.3
    first, second = character_confidences(probabilities, "77")
    assert first > 0.9
    assert second == pytest.approx(0.7, abs=0.01)


def test_temperature_makes_less_sure():
    logits = np.array([[4.0, 0.0, 0.0]], np.float32)
    assert softmax(logits, 2.0)[0, 0] < softmax(logits)[0, 0] < 1
    assert softmax(logits).sum() == pytest.approx(1)


def test_crops_are_normalised_each_by_itself():
    rng = np.random.default_rng(1)
    crops = np.stack([rng.integers(0, 60, (64, 160)), rng.integers(100, 255, (64, 160))]).astype(np.uint8)
    out = normalise(crops)
    assert out.shape == (2, 1, 64, 160)
    assert np.allclose(out.mean((1, 2, 3)), 0, atol=1e-4)
    assert (out.std((1, 2, 3)) > 0.7).all()
    assert np.isfinite(normalise(np.full((1, 64, 160), 90, np.uint8))).all()
