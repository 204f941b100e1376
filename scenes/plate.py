"""Draw a licence plate with everything that is known about it: text, character centres, corners.

Three layouts stand for the world: `us` (2:1, slogans, stickers, icons, stacked prefixes), `eu` (4.5:1, blue band)
and `br` (3:1). Values are drawn wide on purpose; plausibility of a single plate matters less than variety.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scenes import decor
from scenes.decor import Canvas
from scenes.glyphs import ALPHABET, GLYPH_HEIGHT
from scenes.texts import REGION_SHARES, SEPARATORS, Region, draw_text
from scenes.typefaces import FontPool, Typeface, default_pool

Image = npt.NDArray[np.uint8]
Tint = tuple[float, float, float]
INKS: tuple[Tint, ...] = (
    (0, 0, 0),
    (0, 0, 0),
    (70, 0, -40),
    (-20, 10, -20),
    (-30, -40, 90),
)  # B, G, R offsets
SHEETS: tuple[Tint, ...] = ((0, 0, 0), (0, 0, 0), (8, 4, -4), (-60, 6, 20), (25, 5, -25), (-10, 15, -10))


@dataclass(frozen=True)
class PlateStyle:
    """What distinguishes a demo plate from a training plate.

    Attributes:
        region: layout; None draws one by `REGION_SHARES`.
        clean: no worn paint, low contrast, covering frame or stacked prefix: a plate that a person reads at once.
    """

    region: Region | None = None
    clean: bool = False


@dataclass(frozen=True)
class RenderedPlate:
    """A plate, seen from the front.

    Attributes:
        grey: (height, width) float32, 0 to 255.
        text: the characters without separators, A-Z and 0-9.
        centres: (len(text), 2) character centres in pixels, in reading order.
        corners: (4, 2) corners of the sheet in pixels: top left, top right, bottom right, bottom left.
            A holder may surround the sheet.
        region: layout.
        ink, sheet: colour offsets (B, G, R) of dark and light areas.
    """

    grey: Canvas
    text: str
    centres: npt.NDArray[np.float64]
    corners: npt.NDArray[np.float32]
    region: Region
    ink: Tint
    sheet: Tint

    def colour(self) -> Image:
        """The plate as (height, width, 3) BGR."""
        share = np.clip(self.grey / 255, 0, 1)[..., None]
        tint = share * np.array(self.sheet) + (1 - share) * np.array(self.ink)
        pixels: Image = np.clip(self.grey[..., None] + tint, 0, 255).astype(np.uint8)
        return pixels


def render_plate(
    rng: random.Random,
    style: PlateStyle | None = None,
    text: str | None = None,
    *,
    pool: FontPool | None = None,
) -> RenderedPlate:
    """Render a plate.

    Args:
        rng: source of all randomness; equal states give equal plates.
        style: layout and cleanliness; by default anything.
        text: A-Z, 0-9, blanks and hyphens; by default drawn from the region's formats.
        pool: lettering to draw from.

    Raises:
        ValueError: `text` holds no character or one that plates do not carry.
    """
    style = style or PlateStyle()
    shares = REGION_SHARES
    region = style.region or rng.choices(list(shares), list(shares.values()))[0]
    text = draw_text(rng, region) if text is None else text.upper()
    if not text.strip(SEPARATORS) or any(c not in ALPHABET + SEPARATORS for c in text):
        raise ValueError(f"not a plate text: {text!r}; use A-Z, 0-9, blank and hyphen")
    return _Painter(rng, style.clean, region, text, pool or default_pool()).paint()


def _as_canvas(pixels: npt.NDArray[Any]) -> Canvas:
    """OpenCV's stubs forget the type of the pixels."""
    return np.asarray(pixels, np.float32)


class _Painter:
    """State shared by the steps of drawing one plate."""

    def __init__(self, rng: random.Random, clean: bool, region: Region, text: str, pool: FontPool) -> None:
        self.rng, self.clean, self.region, self.text, self.pool = rng, clean, region, text, pool
        uniform = rng.uniform
        height, low, high = {"us": (128, 1.9, 2.1), "eu": (100, 4.2, 4.75), "br": (112, 2.9, 3.25)}[region]
        self.h, self.w = height, int(height * uniform(low, high))
        self.face: Typeface = pool.pick(rng, 0.45)
        self._choose_greys()
        self.canvas: Canvas = np.full((self.h, self.w), self.base, np.float32)
        self.centres: list[tuple[float, float]] = []

    def _choose_greys(self) -> None:
        uniform = self.rng.uniform
        dark_ink = self.clean or self.rng.random() < 0.87
        if dark_ink:
            self.base = uniform(170, 250) if self.clean else uniform(130, 250)
            self.ink = uniform(0, 70) if self.clean else uniform(0, min(130, self.base - 45))
        else:
            self.base = uniform(0, 120)
            self.ink = uniform(self.base + 55, 255)
        if not self.clean and self.rng.random() < 0.12:
            step = uniform(22, 50)
            self.ink = self.base - step if dark_ink else self.base + step

    def _between(self, low: float, high: float) -> float:
        """A grey between sheet (0) and ink (1)."""
        return self.base + (self.ink - self.base) * self.rng.uniform(low, high)

    def paint(self) -> RenderedPlate:
        if self.region == "us":
            self._background()
        self._measure()
        if self.region == "us" and not self.clean and self.rng.random() < 0.30:
            self._side_mark()
        self._characters()
        self._small_print()
        self._wear()
        left, top = self._holder() if self.rng.random() < (0.25 if self.clean else 0.4) else (0, 0)
        corners = np.array([[0, 0], [self.w, 0], [self.w, self.h], [0, self.h]], np.float32) + np.array(
            [left, top], np.float32
        )
        return RenderedPlate(
            np.clip(self.canvas, 0, 255),
            "".join(c for c in self.text if c not in SEPARATORS),
            np.array(self.centres) + np.array([left, top]),
            corners,
            self.region,
            self.rng.choice(INKS),
            self.rng.choice(SHEETS),
        )

    def _background(self) -> None:
        rng, uniform, h, w = self.rng, self.rng.uniform, self.h, self.w
        contrast = self.ink - self.base
        if rng.random() < 0.55:
            ramp = np.linspace(uniform(-1, 1), uniform(-1, 1), h)[:, None] * uniform(0, 0.45) * contrast
            if rng.random() < 0.3:
                ramp = np.linspace(-1, 1, h)[:, None] ** 2 * uniform(0, 0.5) * contrast
            # Half of the way to the ink at most, or the characters drown in the sheet.
            low, high = sorted((0.0, contrast * 0.6))
            self.canvas += np.clip(ramp, low, high).astype(np.float32)
        if rng.random() < 0.5:
            for _ in range(rng.randint(1, 6)):
                size, grey = uniform(8, 50), self._between(-0.25, 0.4)
                decor.icon(self.canvas, uniform(0, w), uniform(0, h), size, grey, rng, self.face)
        if rng.random() < 0.25:
            ridge = [(x, h * uniform(0.45, 0.95)) for x in np.linspace(0, w, 9)]
            cv2.fillPoly(
                self.canvas, [np.array([(0, h), *ridge, (w, h)], np.int32)], self._between(-0.25, 0.4)
            )
        if rng.random() < 0.3:
            self.canvas[: int(h * uniform(0.12, 0.27))] = self._between(0.2, 1.0)
        if rng.random() < 0.15:
            self.canvas[int(h * uniform(0.76, 0.9)) :] = self._between(0.2, 1.0)

    def _measure(self) -> None:
        """Decide the size, place and spacing of the characters."""
        rng, uniform = self.rng, self.rng.uniform
        if self.region == "us":
            height, centre, span = uniform(0.40, 0.56), uniform(0.47, 0.56), uniform(0.70, 0.96)
        elif self.region == "eu":
            height, centre, span = uniform(0.60, 0.80), uniform(0.48, 0.53), uniform(0.74, 0.88)
        else:
            height, centre, span = uniform(0.48, 0.64), uniform(0.54, 0.64), uniform(0.78, 0.92)
        self.size, self.middle = self.h * height, self.h * centre
        self.blue_band = self.region == "eu" and rng.random() < 0.7
        self.squeeze = self.size / GLYPH_HEIGHT * uniform(0.85, 1.15)
        self.mono = rng.random() < 0.35
        gap = self.size * uniform(0.03, 0.22)
        wide_gap = rng.random() >= 0.8 and not self.clean
        separator = self.size * (uniform(0.5, 1.1) if wide_gap else uniform(0.12, 0.75))
        own = [0 if c in SEPARATORS else self.face.masks[c].shape[1] for c in self.text]
        widths = [
            separator if c in SEPARATORS else (max(own) if self.mono else w) * self.squeeze
            for c, w in zip(self.text, own, strict=True)
        ]
        total = sum(widths) + gap * (len(self.text) - 1)
        fill = sum(c not in SEPARATORS for c in self.text) >= 5 and rng.random() < 0.7
        limit = self.w * span
        scale = min(1.6, max(0.4, limit / total)) if fill else min(1.0, limit / total)
        self.scale, self.gap, self.widths, self.total = scale, gap, widths, total * scale
        self.left = (self.w - self.total) / 2 + self.w * uniform(-0.03, 0.03)
        if self.blue_band:
            self.left = max(self.w * 0.1, self.left + self.w * 0.03)

    def _side_mark(self) -> None:
        """Stacked small characters (not part of the text) or an emblem beside the characters."""
        rng, uniform = self.rng, self.rng.uniform
        if self.total > 0.8 * self.w:
            self.scale *= 0.8 * self.w / self.total
            self.total = 0.8 * self.w
            self.left = (self.w - self.total) / 2
        side = rng.choice([-1, 1, -1])
        self.left -= side * self.w * 0.06
        edge = self.left if side < 0 else self.left + self.total
        start = edge + side * self.size * uniform(0.12, 0.45)
        if rng.random() < 0.5:
            count = rng.choice([1, 2, 2, 2, 3])
            low, high = {1: (0.35, 0.6), 2: (0.33, 0.48), 3: (0.26, 0.33)}[count]
            height = self.size * uniform(low, high)
            width, stack = height * uniform(0.5, 0.8), count * height * 1.05
            top = self.middle - stack / 2 if rng.random() < 0.7 else self.middle + self.size / 2 - stack
            for i in range(count):
                mask = self.face.masks[rng.choice(ALPHABET)]
                left = start - (width if side < 0 else 0)
                decor.paste_mask(self.canvas, mask, left, top + i * height * 1.05, width, height, self.ink)
        else:
            size = self.size * uniform(0.3, 0.62)
            centre = self.middle + self.size * uniform(-0.15, 0.1)
            decor.emblem(self.canvas, start + side * size * 0.8, centre, size, self.ink, rng, self.face)

    def _characters(self) -> None:
        rng, uniform = self.rng, self.rng.uniform
        x = max(self.w * 0.02, min(self.left, self.w * 0.98 - self.total))
        self.coverage: Canvas = np.zeros((self.h, self.w), np.float32)
        for char, unscaled in zip(self.text, self.widths, strict=True):
            width = unscaled * self.scale
            if char in SEPARATORS:
                if char == "-" or rng.random() < (0.1 if self.clean else 0.4):
                    self._separator(x + width / 2, width)
            else:
                self._glyph(char, x, width)
                self.centres.append((x + width / 2, self.middle))
            x += width + self.gap * self.scale
        thickness = rng.random()
        if thickness < 0.12:
            self.coverage = _as_canvas(cv2.erode(self.coverage, np.ones((2, 2))))
        elif thickness > 0.85:
            self.coverage = _as_canvas(cv2.dilate(self.coverage, np.ones((2, 2))))
        if rng.random() < 0.6:
            self._emboss()
        if not self.clean and rng.random() < 0.15:
            wear = np.array([[uniform(0.5, 1) for _ in range(4)] for _ in range(3)], np.float32)
            self.coverage *= cv2.resize(wear, (self.w, self.h), interpolation=cv2.INTER_LINEAR)
        self.canvas += self.coverage * (self.ink - self.canvas)

    def _glyph(self, char: str, x: float, width: float) -> None:
        mask = self.face.masks[char]
        wanted = mask.shape[1] * self.squeeze * self.scale if self.mono else width
        size = (max(2, round(wanted)), max(2, round(self.size)))
        glyph = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        left, top = round(x + (width - wanted) / 2), round(self.middle - self.size / 2)
        x0, x1, y1 = max(0, left), min(self.w, left + size[0]), min(self.h, top + size[1])
        if x1 > x0:
            part = self.coverage[top:y1, x0:x1]
            np.maximum(part, glyph[: y1 - top, x0 - left : x1 - left], out=part)

    def _separator(self, x: float, width: float) -> None:
        rng, uniform, size = self.rng, self.rng.uniform, self.size
        kind = 0.0 if self.clean else rng.random()
        if kind < 0.33:
            half, height = min(width * 0.45, size * 0.2), size * uniform(0.06, 0.12)
            top_left = (int(x - half), int(self.middle - height / 2))
            cv2.rectangle(self.coverage, top_left, (int(x + half), int(self.middle + height / 2)), 1.0, -1)
        elif kind < 0.45:
            radius = max(1, int(size * uniform(0.05, 0.1)))
            cv2.circle(self.coverage, (int(x), int(self.middle)), radius, 1.0, -1, cv2.LINE_AA)
        else:
            reach = min(width * 0.6, size * 0.5) * uniform(0.6, 1.5)
            centre = self.middle + size * uniform(-0.1, 0.1)
            decor.emblem(self.canvas, x, centre, reach, self.ink, rng, self.face)

    def _emboss(self) -> None:
        d = self.rng.choice([1, 1, 2])
        dx, dy = self.rng.choice([(d, d), (d, -d), (0, d), (-d, d)])
        edge = np.roll(self.coverage, (dy, dx), (0, 1)) - np.roll(self.coverage, (-dy, -dx), (0, 1))
        self.canvas += cv2.GaussianBlur(edge, (3, 3), 0) * self.rng.uniform(15, 90) * self.rng.choice([1, -1])

    def _small_print(self) -> None:
        rng, uniform, h, w = self.rng, self.rng.uniform, self.h, self.w
        top, bottom = self.middle - self.size / 2, self.middle + self.size / 2
        words, canvas = self.pool.words, self.canvas
        if self.region == "us":
            grey = self.ink if rng.random() < 0.6 else uniform(0, 255)
            centre = w / 2 + uniform(-0.1, 0.1) * w
            if rng.random() < 0.9 and top > 8:
                y, height = max(1.0, top * uniform(0.1, 0.45)), top * uniform(0.45, 0.75)
                decor.word(canvas, rng.choice(words), centre, y, height, w * 0.75, grey)
            room = h - bottom
            if rng.random() < 0.75 and room > 8:
                y, height = bottom + room * uniform(0.12, 0.35), room * uniform(0.35, 0.65)
                decor.word(canvas, rng.choice(words), centre, y, height, w * 0.8, grey)
            self._stickers_and_bolts()
        elif self.region == "br" and rng.random() < 0.9:
            y, height = max(2.0, top * uniform(0.2, 0.4)), top * uniform(0.35, 0.6)
            decor.word(canvas, rng.choice(words), w / 2, y, height, w * 0.6, self.ink)
        if self.blue_band:
            band = int(h * uniform(0.35, 0.5))
            canvas[:, :band] = uniform(20, 110)
            decor.word(canvas, rng.choice(words), band / 2, h * 0.6, h * 0.25, band * 0.7, uniform(180, 255))
            cv2.circle(canvas, (band // 2, int(h * 0.3)), int(band * 0.3), uniform(120, 255), 1, cv2.LINE_AA)
        if rng.random() < 0.5:
            inset = rng.randint(0, 5)
            grey = self.ink if rng.random() < 0.6 else uniform(0, 255)
            cv2.rectangle(canvas, (inset, inset), (w - 1 - inset, h - 1 - inset), grey, rng.randint(1, 4))

    def _stickers_and_bolts(self) -> None:
        rng, uniform, h, w = self.rng, self.rng.uniform, self.h, self.w
        for x, y in ((0.1, 0.12), (0.9, 0.12), (0.1, 0.88), (0.9, 0.88)):
            if rng.random() < 0.3:
                width, height, grey = w * uniform(0.07, 0.13), h * uniform(0.1, 0.2), uniform(60, 250)
                left, top = x * w - width / 2, y * h - height / 2
                corner = int(left + width), int(top + height)
                cv2.rectangle(self.canvas, (int(left), int(top)), corner, grey, -1)
                ink = 0.0 if grey > 130 else 255.0
                mask = rng.choice(self.pool.words)
                decor.word(self.canvas, mask, x * w, top + height * 0.2, height * 0.6, width * 0.8, ink)
        for x in (0.2, 0.8):
            for y in (0.09, 0.91):
                if rng.random() < 0.3:
                    centre = (int(x * w), int(y * h))
                    cv2.circle(self.canvas, centre, rng.randint(2, 5), uniform(0, 255), -1, cv2.LINE_AA)

    def _wear(self) -> None:
        rng = self.rng
        if not self.clean and rng.random() < 0.25:
            for _ in range(rng.randint(1, 8)):
                spot = (rng.randrange(self.w), rng.randrange(self.h))
                cv2.circle(self.canvas, spot, rng.randint(1, 4), rng.uniform(0, 255), -1)

    def _holder(self) -> tuple[int, int]:
        """Put the sheet into a holder with dealer lettering, which may cover its rim; returns the sheet's offset."""
        rng, uniform, h, w = self.rng, self.rng.uniform, self.h, self.w
        above, below, beside = (int(h * uniform(0, 0.13)) for _ in range(3))
        grey = uniform(0, 90) if rng.random() < 0.7 else uniform(90, 255)
        framed = np.full((h + above + below, w + 2 * beside), grey, np.float32)
        framed[above : above + h, beside : beside + w] = self.canvas
        top, room = self.middle - self.size / 2, h - self.middle - self.size / 2
        cover_top = int(h * uniform(0, 0.14)) if rng.random() < 0.5 else 0
        cover_bottom = int(h * uniform(0, 0.17)) if rng.random() < 0.5 else 0
        framed[: above + min(cover_top, int(top * 0.9))] = grey
        framed[above + h - min(cover_bottom, int(room * 0.9)) :] = grey
        ink = uniform(150, 255) if grey < 110 else uniform(0, 80)
        words, centre = self.pool.words, framed.shape[1] / 2
        rail_top, rail_bottom = above + min(cover_top, top * 0.9), below + min(cover_bottom, room * 0.9)
        if rng.random() < 0.5 and rail_top > 8:
            decor.word(framed, rng.choice(words), centre, rail_top * 0.12, rail_top * 0.7, w * 0.8, ink)
        if rng.random() < 0.6 and rail_bottom > 8:
            y = framed.shape[0] - rail_bottom * 0.85
            decor.word(framed, rng.choice(words), centre, y, rail_bottom * 0.7, w * 0.8, ink)
        self.canvas = framed
        return beside, above
