"""Read the text of plate crops: normalise, run the network, decode its columns (CTC).

The network gives, for each of 40 columns, the probability of a blank and of 36 characters. A text is any sequence of
columns that collapses to it (repeats merged, blanks dropped); a small beam search sums over the sequences of the
likeliest texts, which gives the string's confidence and the ranked candidates at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

import numpy as np
import numpy.typing as npt

from services.recognizer.engine import Engine
from services.recognizer.rectify import CROP_HEIGHT, CROP_WIDTH
from services.recognizer.results import Float

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BLANK = 0
MOST_CANDIDATES = 10
BEAM = 16
LEAST_PROBABILITY = 1e-3  # of a character in a column; below it no path is followed
MOST_FOLLOWED = (
    6  # classes of a column; blurred plates would otherwise cost many times the time of clear ones
)
CONTRAST_FLOOR = 4.0  # grey levels: keeps an empty crop from being amplified to noise


@dataclass(frozen=True)
class Reading:
    """Text of one crop with confidences; candidates best first, the text itself the first of them."""

    text: str
    confidence: float
    characters: tuple[tuple[str, float], ...]
    candidates: tuple[tuple[str, float], ...]


def normalise(crops: npt.NDArray[np.uint8]) -> Float:
    """(n, 64, 160) grey crops to the network's (n, 1, 64, 160): zero mean, about unit deviation, each by itself."""
    pixels = crops.astype(np.float32)
    mean, deviation = pixels.mean((1, 2), keepdims=True), pixels.std((1, 2), keepdims=True)
    result: Float = ((pixels - mean) / (deviation + CONTRAST_FLOOR))[:, None]
    return result


def softmax(logits: Float, temperature: float = 1.0) -> Float:
    """Probabilities over the last axis; a temperature above 1 makes them less sure."""
    scaled = logits / temperature
    raised = np.exp(scaled - scaled.max(-1, keepdims=True))
    result: Float = raised / raised.sum(-1, keepdims=True)
    return result


def beam_search(probabilities: Float, *, beam: int = BEAM) -> list[tuple[str, float]]:
    """Likeliest texts of one crop.

    Args:
        probabilities: (columns, 37), class 0 the blank, then `ALPHABET`.
        beam: prefixes kept after each column.

    Returns:
        Texts with probabilities, best first; the empty text can be among them.
    """
    order = np.argsort(-probabilities, axis=1)[:, :MOST_FOLLOWED].tolist()
    # For each prefix: probability of the paths that end in a blank, and of those that end in its last character.
    prefixes: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    for column, likely in zip(probabilities.tolist(), order, strict=True):
        follow = [(c, column[c]) for c in likely if c != BLANK and column[c] > LEAST_PROBABILITY]
        blank = column[BLANK]
        grown = {
            prefix: ((in_blank + in_char) * blank, in_char * column[prefix[-1]] if prefix else 0.0)
            for prefix, (in_blank, in_char) in prefixes.items()
        }
        for prefix, (in_blank, in_char) in prefixes.items():
            total, last = in_blank + in_char, prefix[-1] if prefix else BLANK
            for c, share in follow:
                # The same character again is a new one only after a blank.
                more, longer = share * (in_blank if c == last else total), (*prefix, c)
                ends = grown.get(longer, (0.0, 0.0))
                grown[longer] = ends[0], ends[1] + more
        if len(grown) > beam:
            grown = dict(nlargest(beam, grown.items(), key=lambda item: sum(item[1])))
        prefixes = grown
    ranked = sorted(prefixes.items(), key=lambda item: -sum(item[1]))
    return [("".join(ALPHABET[c - 1] for c in prefix), min(1.0, sum(ends))) for prefix, ends in ranked]


def character_confidences(probabilities: Float, text: str) -> list[float]:
    """How sure each character of `text` is: its highest probability on the best path that spells the text."""
    states = [BLANK]
    for c in text:
        states += [ALPHABET.index(c) + 1, BLANK]
    n, shares = len(states), probabilities[:, states]
    # Plain numbers: for 40 columns of 15 states, calls of numpy cost more than the arithmetic.
    logs = np.log(np.maximum(shares, 1e-9)).tolist()
    may_skip = [s > 1 and states[s] not in {BLANK, states[s - 2]} for s in range(n)]
    score = [*logs[0][:2], *(-math.inf for _ in range(n - 2))]
    came_from: list[list[int]] = []
    for column in logs[1:]:
        grown, steps = [0.0] * n, [0] * n
        for s in range(n):
            best, step = score[s], 0
            if s and score[s - 1] > best:
                best, step = score[s - 1], 1
            if may_skip[s] and score[s - 2] > best:
                best, step = score[s - 2], 2
            grown[s], steps[s] = best + column[s], step
        score = grown
        came_from.append(steps)
    state = n - 1 if n == 1 or score[n - 1] >= score[n - 2] else n - 2
    surest = [0.0] * len(text)
    for t in range(len(logs) - 1, -1, -1):
        if state % 2:
            surest[state // 2] = max(surest[state // 2], float(shares[t, state]))
        state -= came_from[t - 1][state] if t else 0
    return surest


def decode(probabilities: Float) -> Reading:
    """Decode the columns (40, 37) of one crop."""
    candidates = beam_search(probabilities)
    text, confidence = candidates[0]
    named = [c for c in candidates if c[0]][:MOST_CANDIDATES]
    characters = zip(text, character_confidences(probabilities, text), strict=True) if text else ()
    return Reading(text, confidence if text else 0.0, tuple(characters), tuple(named))


class Reader:
    """The reader network and its calibration."""

    def __init__(self, engine: Engine, *, temperature: float = 1.0) -> None:
        self._engine, self._temperature = engine, temperature

    def warm_up(self) -> None:
        """Run the usual batch sizes once."""
        self._engine.warm_up(*((n, 1, CROP_HEIGHT, CROP_WIDTH) for n in (1, 2)))

    def read(self, crops: Sequence[npt.NDArray[np.uint8]]) -> list[Reading]:
        """Read grey crops of 64 x 160, in their order."""
        if not crops:
            return []
        logits = self._engine.run(normalise(np.stack(crops)))[0]
        return [decode(columns) for columns in softmax(logits, self._temperature)]
