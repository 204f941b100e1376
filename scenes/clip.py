"""Vehicles passing a fixed camera, one after the other, with the truth of who passed when."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scenes.compose import Image
from scenes.street import SIZE, Backdrop, Placed, draw_backdrop, draw_vehicle, finish, ground_for
from scenes.texts import draw_text
from scenes.vehicles import WIDTH, VehicleLook, VehicleType
from scenes.weather import Condition

_KINDS: tuple[VehicleType, ...] = ("car", "truck", "bus")
_KIND_WEIGHTS = (0.8, 0.13, 0.07)
SECONDS_A_PASS = 1.6
SECONDS_BETWEEN = 0.8
FAR_WIDTH, NEAR_WIDTH = 0.12, 0.32  # a car's width at both ends of its way, relative to the picture's


@dataclass(frozen=True)
class ClipPass:
    """One vehicle's pass: its plate's text and the first and last frame that show it."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class _Way:
    look: VehicleLook
    lane: float
    yaw: float


class Clip:
    """Iterate it for frames, (height, width, 3) BGR; it can be iterated again and gives the same frames.

    Attributes:
        fps: frames a second.
        passes: the truth, in order.
    """

    def __init__(
        self,
        seed: int,
        fps: float = 10.0,
        passes: Sequence[str] | int = 4,
        *,
        size: tuple[int, int] = SIZE,
        condition: Condition = "day",
    ) -> None:
        """Plan a clip; frames are drawn when asked for.

        Args:
            seed: decides everything.
            fps: frames a second.
            passes: the plates that pass, in order, or how many random ones.
            size: width and height of the frames in pixels.
            condition: day, night, rain or blur.

        Raises:
            ValueError: a text that plates do not carry, or a rate of 0 or less.
        """
        if fps <= 0:
            raise ValueError(f"{fps} frames a second show nothing; give a rate above 0")
        rng = random.Random(f"clip {seed}")
        texts = passes if not isinstance(passes, int) else [draw_text(rng, "us") for _ in range(passes)]
        self.fps, self.size, self.condition = fps, size, condition
        self._seed, self._backdrop = seed, draw_backdrop(rng, size)
        self._ways = [self._way(rng, text) for text in texts]
        self._frames, self._gap = max(3, round(SECONDS_A_PASS * fps)), max(1, round(SECONDS_BETWEEN * fps))
        self.passes = tuple(self._truth(i, way) for i, way in enumerate(self._ways))

    @staticmethod
    def _way(rng: random.Random, text: str) -> _Way:
        look = VehicleLook.draw(rng, text=text, kind=rng.choices(_KINDS, _KIND_WEIGHTS)[0])
        return _Way(look, rng.choice([0.3, 0.5, 0.7]), rng.uniform(-0.6, 0.6))

    def _truth(self, i: int, way: _Way) -> ClipPass:
        assert way.look.plate is not None
        first = self._gap + i * (self._frames + self._gap)
        return ClipPass(way.look.plate.text, first, first + self._frames - 1)

    def __len__(self) -> int:
        return self._gap + len(self._ways) * (self._frames + self._gap)

    def __iter__(self) -> Iterator[Image]:
        for index in range(len(self)):
            yield self.frame(index)

    def frame(self, index: int) -> Image:
        """Draw one frame.

        Raises:
            IndexError: the clip has no such frame.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a clip of {len(self)} frames")
        image, places, drawn = self._backdrop.image.copy(), [], []
        for way, truth in zip(self._ways, self.passes, strict=True):
            if truth.first <= index <= truth.last:
                done = (index - truth.first) / (self._frames - 1)
                placed = self._placed(way, done if way.look.front else 1 - done, self._backdrop)
                places.append(placed)
                drawn.append(draw_vehicle(image, placed))
        rng = random.Random(f"frame {self._seed} {index}")
        return finish(image, self.condition, rng, places, drawn)

    def _placed(self, way: _Way, nearness: float, backdrop: Backdrop) -> Placed:
        """Where the vehicle is; growing by equal factors is what steady speed looks like."""
        width = FAR_WIDTH * (NEAR_WIDTH / FAR_WIDTH) ** nearness * self.size[0]
        ground = ground_for(width, backdrop.horizon, self.size)
        depth = (ground - backdrop.horizon) / (self.size[1] - backdrop.horizon)
        x = self.size[0] * (0.5 + (way.lane - 0.5) * (0.4 + 0.7 * depth))
        return Placed(way.look, x, ground, width * WIDTH[way.look.kind], way.yaw, 0.0)
