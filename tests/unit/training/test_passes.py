"""The measure of reads of passes: a pass read once counts, one that is missed or read twice costs."""

from __future__ import annotations

import pytest

from scenes.clip import Clip
from services.recognizer.pipeline import Pipeline
from services.recognizer.results import Image, Recognition
from training.passes import Passes, follow


class Blind:
    """A pipeline that sees nothing."""

    model_version = "blind"

    def recognize(self, image: Image) -> Recognition:
        return Recognition((), (), self.model_version)


@pytest.mark.req("R-REC-4")
def test_a_generated_pass_is_one_read_with_its_text():
    counts = follow(Pipeline.load(), Clip(2, fps=5, passes=["7ABC123"]))
    row = counts.row()
    assert (row["passes"], row["precision"], row["recall"], row["fused"]) == (1, 1, 1, 1)
    assert counts.frames > 1
    assert row["single_frame"] > 0.5


def test_who_sees_nothing_recalls_nothing():
    row = follow(Blind(), Clip(2, fps=2, passes=["7ABC123"])).row()
    assert (row["precision"], row["recall"], row["fused"]) == (0, 0, 0)


def test_counts_add_up():
    total = Passes(4, 4, 5, 3, 20, 15) + Passes(4, 3, 3, 3, 20, 17)
    assert total.row() == {
        "passes": 8,
        "precision": 0.875,
        "recall": 0.875,
        "fused": 0.75,
        "single_frame": 0.8,
    }
