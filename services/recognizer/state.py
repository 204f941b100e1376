"""Which state issued a plate: a small network on the plate in colour, which says "unknown" rather than guess.

A wrong state stops the wrong car (survey, section 8), a missing one makes a hit a lead: so a state is given only from a confidence on
that was chosen on pictures nobody trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plates.formats import ELSEWHERE
from services.recognizer.engine import Engine
from services.recognizer.rectify import cut
from services.recognizer.results import UNKNOWN_STATE, Float, Image

WIDTH, HEIGHT = 224, 128
RIM = 0.03  # around the plate: what the detector finds is its text's frame, a little within the sheet
STATES = tuple(
    f"US-{code}" for code in ["AK", "AL", "AR", "AS", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "GU", "HI", "IA", "ID", "IL", "IN", "KS", "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MP", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "PR", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VI", "VT", "WA", "WI", "WV", "WY"]
)  # fmt: skip
NONE = len(STATES)  # index of "of no state": a plate of elsewhere


class StateReader:
    """The network with its calibration."""

    def __init__(self, engine: Engine, *, temperature: float, least: float) -> None:
        """``least`` is the confidence from which a state is given."""
        self._engine, self._temperature, self._least = engine, temperature, least

    def warm_up(self) -> None:
        """Run once."""
        self._engine.warm_up((1, 3, HEIGHT, WIDTH))

    @staticmethod
    def crop(image: Image, corners: Float) -> Image:
        """Cut a plate (corners (4, 2), clockwise from the upper left) out of a picture: (128, 224, 3) BGR."""
        return cut(image, corners, (WIDTH, HEIGHT), RIM, grey=False)

    def probabilities(self, crops: Sequence[Image]) -> Float:
        """Return (n, states + 1) of crops (128, 224, 3) BGR; the last is "of no state"."""
        pixels = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        (logits,) = self._engine.run(np.ascontiguousarray(pixels))
        raised = logits / self._temperature
        raised = np.exp(raised - raised.max(1, keepdims=True))
        return np.asarray(raised / raised.sum(1, keepdims=True))

    def named(self, probabilities: Float) -> tuple[str, float]:
        """State and confidence of a plate's probabilities (states + 1,); ("unknown", 0.0) where they are not sure enough."""
        best = int(probabilities.argmax())
        if best == NONE or probabilities[best] < self._least:
            return UNKNOWN_STATE, 0.0
        return STATES[best], float(probabilities[best])

    def read(self, crops: Sequence[Image]) -> list[tuple[str, float]]:
        """Return state and confidence of each crop, as `named` gives them."""
        return [self.named(row) for row in self.probabilities(crops)] if crops else []


def origins(probabilities: Float) -> dict[str, float]:
    """A plate's probabilities (states + 1,) by name, as `plates.formats.format_prior` takes them."""
    return dict(zip((*STATES, ELSEWHERE), probabilities.tolist(), strict=True))
