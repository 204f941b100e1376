"""A clip's truth says when which vehicle is in the picture."""

import numpy as np
import pytest

from scenes.clip import Clip

SIZE = (320, 180)


def test_the_truth_covers_the_passes_in_order():
    clip = Clip(1, fps=5, passes=["AB 123", "XY-99"], size=SIZE)
    assert [p.text for p in clip.passes] == ["AB123", "XY99"]
    assert 0 < clip.passes[0].first < clip.passes[0].last < clip.passes[1].first - 1
    assert clip.passes[-1].last < len(clip)
    assert len(list(clip)) == len(clip)


def test_a_clip_is_decided_by_its_seed_and_can_be_played_again():
    clip = Clip(4, fps=4, passes=1, size=SIZE)
    first, again = list(clip), list(clip)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(first, Clip(4, fps=4, passes=1, size=SIZE), strict=True))


def test_the_vehicle_moves_and_changes_size():
    clip = Clip(2, fps=5, passes=1, size=SIZE)
    empty = clip.frame(0).astype(int)
    changed = [
        (np.abs(clip.frame(i).astype(int) - empty).max(2) > 40).sum()
        for i in (clip.passes[0].first, clip.passes[0].last)
    ]
    assert min(changed) > 50
    assert max(changed) > 2 * min(changed)


def test_gaps_are_empty():
    clip = Clip(2, fps=5, passes=2, size=SIZE)
    between = clip.frame(clip.passes[0].last + 1).astype(int)
    assert (np.abs(between - clip.frame(0)).max(2) > 40).sum() < 20


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ValueError, match="rate above 0"):
        Clip(1, fps=0)
    with pytest.raises(IndexError, match="of a clip of"):
        Clip(1, fps=2, passes=1, size=SIZE).frame(999)
