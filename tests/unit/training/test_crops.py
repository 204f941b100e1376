"""The reader's samples are repeatable, in the reader's format, and labelled inside the crop."""

import numpy as np
import pytest

from scenes.glyphs import ALPHABET
from training.crops import HEIGHT, WIDTH, CropMaker


def maker(seed):
    backgrounds = [np.random.default_rng(2).integers(0, 255, (540, 960), dtype=np.uint8)]
    return CropMaker(seed, [], backgrounds)


def test_equal_seeds_give_equal_samples():
    first, second = maker(4), maker(4)
    for _ in range(20):
        a, b = first.synthetic(), second.synthetic()
        assert a.text == b.text
        assert np.array_equal(a.crop, b.crop)
        assert np.array_equal(a.centres, b.centres)


def test_samples_have_the_readers_format():
    source = maker(9)
    for _ in range(60):
        sample = source.synthetic()
        assert sample.crop.shape == (HEIGHT, WIDTH)
        assert sample.crop.dtype == np.uint8
        assert set(sample.text) <= set(ALPHABET)
        assert len(sample.centres) == len(sample.text)
        assert (sample.centres > -0.05).all()
        assert (sample.centres < 1.05).all()
        assert (np.diff(sample.centres) > 0).all()


def test_photographs_of_plates_keep_their_text_and_have_no_centres():
    picture = np.tile(np.linspace(0, 255, 224), (128, 1)).astype(np.uint8)
    sample = maker(1).from_photo(picture, "8ABC123")
    assert sample.text == "8ABC123"
    assert sample.crop.shape == (HEIGHT, WIDTH)
    assert sample.centres == pytest.approx(-np.ones(7))
