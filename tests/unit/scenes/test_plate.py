"""Plates are drawn the same from the same seed, and their labels are where the ink is."""

import random

import numpy as np
import pytest

from scenes.glyphs import ALPHABET, GLYPH_HEIGHT, StrokeStyle, stroke_masks
from scenes.plate import PlateStyle, render_plate
from scenes.texts import FORMATS, SEPARATORS, draw_text
from scenes.typefaces import FONT_FOLDER, default_pool


def test_equal_seeds_give_equal_plates():
    first, second = render_plate(random.Random(5)), render_plate(random.Random(5))
    assert first.text == second.text
    assert np.array_equal(first.colour(), second.colour())
    assert not np.array_equal(first.grey, render_plate(random.Random(6)).grey[: first.grey.shape[0]])


@pytest.mark.parametrize("seed", range(30))
def test_labels_lie_on_the_plate(seed):
    plate = render_plate(random.Random(seed))
    low, high = plate.corners.min(0), plate.corners.max(0)
    assert len(plate.centres) == len(plate.text) > 0
    assert set(plate.text) <= set(ALPHABET)
    assert (plate.centres >= low).all()
    assert (plate.centres <= high).all()
    assert (np.diff(plate.centres[:, 0]) > 0).all()
    assert (high <= plate.grey.shape[::-1]).all()


def test_a_given_text_is_written_without_its_separators():
    plate = render_plate(random.Random(1), PlateStyle("us", clean=True), "8abc-123")
    assert plate.text == "8ABC123"
    assert plate.colour().dtype == np.uint8
    assert plate.colour().shape == (*plate.grey.shape, 3)


@pytest.mark.parametrize("text", ["", " - ", "AB?1", "Ä1"])
def test_what_no_plate_carries_is_refused(text):
    with pytest.raises(ValueError, match="not a plate text"):
        render_plate(random.Random(1), text=text)


def test_characters_stand_out_at_their_centres():
    """Between the plate with and the one without the text, the ink differs near the labelled centres."""
    plate = render_plate(random.Random(3), PlateStyle("eu", clean=True), "HHHH")
    for x, y in plate.centres:
        patch = plate.grey[int(y) - 20 : int(y) + 20, int(x) - 12 : int(x) + 12]
        assert np.ptp(patch) > 60


def test_every_stroke_glyph_has_ink_and_the_right_height():
    for seed in range(20):
        rng = random.Random(seed)
        for char, mask in stroke_masks(rng, StrokeStyle.draw(rng)).items():
            assert mask.shape[0] == GLYPH_HEIGHT, char
            assert (mask > 128).sum() > 100, char


def test_open_fonts_are_vendored_with_their_licence():
    fonts = sorted(FONT_FOLDER.glob("*.ttf"))
    assert len(fonts) >= 2
    for font in fonts:
        family = font.stem.split("-")[0]
        assert "SIL OPEN FONT LICENSE" in (FONT_FOLDER / f"{family}-OFL.txt").read_text().upper()
    assert len(default_pool().fonts) == len(fonts)


@pytest.mark.parametrize("region", sorted(FORMATS))
def test_texts_are_plate_texts(region):
    rng = random.Random(9)
    for _ in range(300):
        text = draw_text(rng, region)
        assert 1 <= len(text.replace(" ", "").replace("-", "")) <= 10
        assert set(text) <= set(ALPHABET + SEPARATORS)
