"""Drawing the sample of an audit, so that anybody can draw it again.

Rules
-----
1. The population is the log indexes of the looks in the audited span; the seed is public.
2. A look's rank is SHA-256 of the seed and its index (8 bytes, big endian); the lowest ranks are the sample. Nobody who does not
   choose the seed can choose the sample, and by default the seed is the root of a checkpoint that did not exist when the
   audit was planned.
3. At least 1 %, at least ``LEAST`` looks (or all, where there are fewer), and everything that was flagged.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAST_RATE = 0.01
LEAST = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """The indexes drawn at random, and those that are in it because they were flagged; both ascending."""

    drawn: tuple[int, ...]
    flagged: tuple[int, ...]

    @property
    def indexes(self) -> tuple[int, ...]:
        """Everything that is to be reviewed."""
        return tuple(sorted({*self.drawn, *self.flagged}))


def draw(population: Sequence[int], seed: bytes, rate: float, flagged: Iterable[int] = ()) -> Sample:
    """Return the sample of a population.

    Raises:
        ValueError: the rate is below 1 % or above 1, or the seed is empty.
    """
    if not LEAST_RATE <= rate <= 1 or not seed:
        raise ValueError("an audit samples 1 % to 100 %, by a seed that is not empty")
    count = min(len(population), max(LEAST, math.ceil(rate * len(population))))
    ranked = sorted(population, key=lambda index: hashlib.sha256(seed + index.to_bytes(8, "big")).digest())
    return Sample(tuple(sorted(ranked[:count])), tuple(sorted(set(flagged) & set(population))))
