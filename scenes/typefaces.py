"""The pool of lettering a plate can be drawn with: random stroke styles and the vendored open fonts."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scenes.glyphs import ALPHABET, GLYPH_HEIGHT, Mask, stroke_masks

FONT_FOLDER = Path(__file__).parent / "fonts"
_SMALL_CAPS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-."
_SLOGANS = [
    "CALIFORNIA",
    "TEXAS",
    "ILLINOIS",
    "OHIO",
    "FLORIDA",
    "Georgia",
    "Arizona",
    "NEVADA",
    "Utah",
    "MICHIGAN",
    "Virginia",
    "NEW YORK",
    "New Jersey",
    "OREGON",
    "PENNSYLVANIA",
    "Washington",
    "Idaho",
    "MONTANA",
    "Colorado",
    "Kansas",
    "Nebraska",
    "Iowa",
    "Minnesota",
    "WISCONSIN",
    "Indiana",
    "KENTUCKY",
    "Maine",
    "ALABAMA",
    "Mississippi",
    "LOUISIANA",
    "Arkansas",
    "OKLAHOMA",
    "VERMONT",
    "Maryland",
    "Delaware",
    "HAWAII",
    "ALASKA",
    "South Carolina",
    "Tennessee",
    "First in Flight",
    "Land of Lincoln",
    "Great Lakes State",
    "Sunshine State",
    "The Lone Star State",
    "Show-Me State",
    "Garden State",
    "GRAND CANYON STATE",
    "EMPIRE STATE",
    "AUTO SALES",
    "MOTORS",
    "COMMERCIAL",
    "TRUCK",
    "COUNTY",
    "www.dealer.example",
    "555-0134",
    "AUTO MOTO",
    "SP-SAO PAULO",
    "MG-BELO HORIZONTE",
    "SLOVENSKA REPUBLIKA",
    "Famous Potatoes",
    "Aloha State",
    "HONEST CARS OF TOWN",
]


@dataclass(frozen=True)
class Typeface:
    """Masks of the 36 characters, all 96 px high, 255 where ink is; `stroke` tells parametric from font lettering."""

    masks: dict[str, Mask]
    stroke: bool


def font_masks(path: Path) -> dict[str, Mask]:
    """Render the 36 characters of a font file so that its capital H is 96 px high.

    Raises:
        OSError: the file is not a font that FreeType can open.
    """
    probe = ImageFont.truetype(str(path), 100)
    _, top, _, bottom = probe.getbbox("H")
    font = ImageFont.truetype(str(path), int(100 * GLYPH_HEIGHT / max(1, bottom - top)))
    top = font.getbbox("H")[1]
    masks: dict[str, Mask] = {}
    for char in ALPHABET:
        left, _, right, _ = font.getbbox(char)
        image = Image.new("L", (int(right - left) + 4, GLYPH_HEIGHT), 0)
        ImageDraw.Draw(image).text((2 - left, -top), char, 255, font=font)
        masks[char] = np.asarray(image)
    return masks


def word_mask(text: str, path: Path) -> Mask:
    """Render a line of small lettering (state name, slogan) as a mask about 40 px high."""
    font = ImageFont.truetype(str(path), 40)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (max(1, int(right - left)) + 4, max(1, int(bottom - top)) + 4), 0)
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, 255, font=font)
    return np.asarray(image)


class FontPool:
    """What plates are lettered with: stroke styles, font files, and small words for the margins.

    Attributes:
        strokes: parametric typefaces.
        fonts: typefaces from font files.
        words: masks of slogans and state names.
    """

    def __init__(
        self, seed: int, *, styles: int = 24, words: int = 120, extra_fonts: Sequence[Path] = ()
    ) -> None:
        rng = random.Random(seed)
        files = [*sorted(FONT_FOLDER.glob("*.ttf")), *extra_fonts]
        self.strokes = [Typeface(stroke_masks(rng), True) for _ in range(styles)]
        self.fonts = [Typeface(font_masks(path), False) for path in files]
        self.words = [word_mask(self._word(rng), rng.choice(files)) for _ in range(words)]

    @staticmethod
    def _word(rng: random.Random) -> str:
        if rng.random() < 0.4:
            return "".join(rng.choice(_SMALL_CAPS) for _ in range(rng.randint(4, 20)))
        word = rng.choice(_SLOGANS)
        return word.upper() if rng.random() < 0.3 else word

    def pick(self, rng: random.Random, stroke_share: float = 0.5) -> Typeface:
        """Choose a typeface, parametric with probability `stroke_share`."""
        return rng.choice(self.strokes if rng.random() < stroke_share else self.fonts)

    def renew(self, rng: random.Random, share: float = 0.5) -> None:
        """Replace a share of the stroke styles by new ones, so that a long run meets many."""
        for i in range(len(self.strokes)):
            if rng.random() < share:
                self.strokes[i] = Typeface(stroke_masks(rng), True)


@functools.cache
def default_pool() -> FontPool:
    """The pool that `render_plate` uses when none is given; the same in every process."""
    return FontPool(seed=20)
