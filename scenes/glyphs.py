"""Parametric stroke glyphs: plate lettering that no one font file covers.

Every issuer of plates uses its own dies. Instead of collecting fonts, a `StrokeStyle` draws a random member of the family
"condensed sans drawn with one stroke width": the width, the stroke, the corner radius and the variants of each
letter (open or closed 4, slab on the 1, flat A ...) are parameters. A reader trained on many styles has met the shapes of
dies it never saw.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
GLYPH_HEIGHT = 96  # pixels; every glyph mask has this height
SUBPIXEL_BITS = 3  # fixed-point precision handed to cv2.polylines

Mask = npt.NDArray[np.uint8]
Point = tuple[float, float]
Path = list[Point]


@dataclass(frozen=True)
class StrokeStyle:
    """One die: all choices that make a style of lettering, lengths in pixels of a 96 px glyph, the rest as fractions."""

    width: float
    stroke: float
    radius: float
    middle: float
    wide: float
    values: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def draw(rng: random.Random) -> StrokeStyle:
        """Draw a random style. The ranges come from looking at plates of the US, Europe and Brazil."""
        uniform, choice = rng.uniform, rng.choice
        width = uniform(28, 58)
        stroke = uniform(8, 18) if width > 36 else uniform(7, 13)
        values = {
            "round_o": uniform(0.6, 1.3), "bowl_6": uniform(0.35, 0.5), "neck_2": uniform(0.55, 1.15),
            "foot_2": choice([0, 0, 0.04, 0.08]), "bend_2": float(rng.random() < 0.5), "stem_4": uniform(0.62, 1.0),
            "form_4": rng.choices([0, 1, 2], [0.82, 0.12, 0.06])[0], "stem_top_4": uniform(0, 0.4),
            "arm_4": uniform(0.9, 1.02), "flat_v": choice([0, 0, 0, 0.06, 0.1, 0.15, 0.3]),
            "serif_d": choice([0, 0, 0, 0.08, 0.14]), "slash_0": float(rng.random() < 0.02),
            "form_1": choice([0, 0, 1, 1, 2]), "serif_i": float(rng.random() < 0.45), "flat_3": float(rng.random() < 0.25),
            "bar_4": uniform(0.62, 0.87), "closed_4": float(rng.random() < 0.8), "notch_5": float(rng.random() < 0.3),
            "straight_6": float(rng.random() < 0.3), "lean_7": uniform(0.2, 0.5), "bent_7": float(rng.random() < 0.2),
            "inset_8": uniform(0, 0.06), "bar_a": uniform(0.6, 0.75), "flat_a": float(rng.random() < 0.07),
            "round_d": uniform(0.7, 1.2), "bar_g": uniform(0.5, 0.65), "spur_g": float(rng.random() < 0.2),
            "serif_j": float(rng.random() < 0.12), "dip_m": uniform(0.22, 1.0), "tail_q": rng.randrange(3),
            "leg_r": float(rng.random() < 0.8), "peak_w": uniform(0.1, 0.7), "slant_w": float(rng.random() < 0.4),
            "narrow_1": float(rng.random() < 0.8),
        }  # fmt: skip
        return StrokeStyle(
            width, stroke, width * uniform(0.2, 0.55), uniform(0.42, 0.54), uniform(1, 1.25), values
        )


class _Pen:
    """Geometry shared by the glyphs of one style: a box, its corner radii and the arcs of its corners."""

    def __init__(self, width: float, height: float, style: StrokeStyle) -> None:
        self.w, self.h, self.v = width, height, style.values
        self.m = height * style.middle
        self.r = min(style.radius, width / 2)
        self.rm = min(self.r, (height - self.m) / 2, self.m / 2)

    @staticmethod
    def _arc(cx: float, cy: float, radius: float, start: float) -> Path:
        angles = np.radians(np.linspace(start, start + 90, 9))
        return [(cx + radius * math.cos(a), cy + radius * math.sin(a)) for a in angles]

    def tl(self, x: float, y: float, q: float) -> Path:
        return self._arc(x + q, y + q, q, 180)

    def tr(self, x: float, y: float, q: float) -> Path:
        return self._arc(x - q, y + q, q, 270)

    def br(self, x: float, y: float, q: float) -> Path:
        return self._arc(x - q, y - q, q, 0)

    def bl(self, x: float, y: float, q: float) -> Path:
        return self._arc(x + q, y - q, q, 90)

    def ring(self, x0: float, y0: float, x1: float, y1: float, q: float) -> Path:
        q = min(q, (x1 - x0) / 2, (y1 - y0) / 2)
        path = self.tl(x0, y0, q) + self.tr(x1, y0, q) + self.br(x1, y1, q) + self.bl(x0, y1, q)
        return [*path, path[0]]

    def c_shape(self) -> Path:
        """The stroke of C and G, from the upper lip to the lower one."""
        w, h, r = self.w, self.h, self.r
        left = self.tl(0, 0, r)[::-1] + self.bl(0, h, r)[::-1]
        return [(w, r * 1.2), *self.tr(w, 0, r)[::-1], *left, *self.br(w, h, r)[::-1], (w, h - r * 1.2)]

    def lower_bowl(self) -> Path:
        """The lower right curve that 3 and 5 end in."""
        return [*self.br(self.w, self.h, self.r), *self.bl(0, self.h, self.r), (0, self.h - self.r * 1.1)]


def _zero(p: _Pen) -> list[Path]:
    slash: list[Path] = [[(p.w * 0.8, p.h * 0.2), (p.w * 0.2, p.h * 0.8)]] if p.v["slash_0"] else []
    return [p.ring(0, 0, p.w, p.h, p.r * p.v["round_o"]), *slash]


def _one(p: _Pen) -> list[Path]:
    w, h = p.w, p.h
    if p.v["form_1"] == 0:
        return [[(w / 2, 0), (w / 2, h)]]
    if p.v["form_1"] == 1:
        return [[(w * 0.2, h * 0.17), (w * 0.55, 0), (w * 0.55, h)]]
    return [[(w * 0.15, h * 0.17), (w * 0.5, 0), (w * 0.5, h)], [(w * 0.1, h), (w * 0.9, h)]]


def _two(p: _Pen) -> list[Path]:
    w, h, neck = p.w, p.h, max(p.m * p.v["neck_2"], p.r)
    foot: Path = [(0, h - h * p.v["foot_2"])] if p.v["foot_2"] else []
    bend: Path = [(w * 0.93, neck + h * 0.1)] if p.v["bend_2"] else []
    return [[(0, p.r * 1.1), *p.tl(0, 0, p.r), *p.tr(w, 0, p.r), (w, neck), *bend, *foot, (0, h), (w, h)]]


def _three(p: _Pen) -> list[Path]:
    w, m = p.w, p.m
    if p.v["flat_3"]:
        return [[(0, 0), (w, 0), (w * 0.45, m * 0.8), *p.tr(w, m * 0.8, p.rm), *p.lower_bowl()]]
    upper = [(0, p.r * 1.1), *p.tl(0, 0, p.r), *p.tr(w, 0, p.r), *p.br(w, m, p.rm), (w * 0.4, m)]
    return [upper, [(w * 0.4, m), (w - p.rm, m), *p.tr(w, m, p.rm), *p.lower_bowl()]]


def _four(p: _Pen) -> list[Path]:
    w, h, bar, stem = p.w, p.h, p.h * p.v["bar_4"], p.w * p.v["stem_4"]
    if p.v["form_4"] == 1:
        return [[(0, 0), (0, bar), (w, bar)], [(stem, h * p.v["stem_top_4"]), (stem, h)]]
    if p.v["form_4"] == 2:
        return [[(w * 0.3, 0), (0, bar), (w, bar)], [(stem, h * 0.3), (stem, h)]]
    closed = bool(p.v["closed_4"])
    arm: Path = [(stem if closed else w * 0.5, 0), (0, bar), (max(w * p.v["arm_4"], stem), bar)]
    return [arm, [(stem, 0 if closed else bar - h * 0.3), (stem, h)]]


def _five(p: _Pen) -> list[Path]:
    notch: Path = [(p.w * 0.15, p.h * 0.38)] if p.v["notch_5"] else []
    head: Path = [(p.w * 0.95, 0), (p.w * 0.04, 0), (0, p.h * 0.42)]
    return [[*head, *notch, *p.tr(p.w, p.h * 0.38, p.rm), *p.lower_bowl()]]


def _six(p: _Pen) -> list[Path]:
    w, h, q = p.w, p.h, p.h * p.v["bowl_6"]
    if p.v["straight_6"]:
        path: Path = [(w * 0.75, 0), (w * 0.2, h * 0.38), (0, h * 0.6), (0, h - p.r)]
    else:
        path = [(w, p.r * 1.1), *p.tr(w, 0, p.r)[::-1], *p.tl(0, 0, p.r)[::-1], (0, h - p.r)]
    path += p.bl(0, h, p.r)[::-1] + p.br(w, h, p.r)[::-1] + p.tr(w, q, p.rm)[::-1] + p.tl(0, q, p.rm)[::-1]
    return [path]


def _nine(p: _Pen) -> list[Path]:
    return [[(p.w - x, p.h - y) for x, y in path] for path in _six(p)]


def _seven(p: _Pen) -> list[Path]:
    w, h = p.w, p.h
    if p.v["bent_7"]:
        return [[(0, 0), (w, 0), (w, h * 0.15), (w * 0.4, h * 0.6), (w * 0.35, h)]]
    return [[(0, 0), (w, 0), (w * p.v["lean_7"], h)]]


def _eight(p: _Pen) -> list[Path]:
    inset = p.w * p.v["inset_8"]
    return [p.ring(inset, 0, p.w - inset, p.m, p.r), p.ring(0, p.m, p.w, p.h, p.r)]


def _a(p: _Pen) -> list[Path]:
    w, h, bar = p.w, p.h, p.h * p.v["bar_a"]
    if p.v["flat_a"]:
        return [[(0, h), (0, p.r), *p.tl(0, 0, p.r), *p.tr(w, 0, p.r), (w, h)], [(0, bar), (w, bar)]]
    k = bar / h
    return [[(0, h), (w / 2, 0), (w, h)], [(w / 2 * (1 - k), bar), (w - w / 2 * (1 - k), bar)]]


def _b(p: _Pen) -> list[Path]:
    w, h, m = p.w, p.h, p.m
    upper = [(0, m), (0, 0), *p.tr(w * 0.95, 0, p.rm), *p.br(w * 0.95, m, p.rm), (0, m)]
    return [upper, [(0, m), *p.tr(w, m, p.rm), *p.br(w, h, p.rm), (0, h), (0, m)]]


def _d(p: _Pen) -> list[Path]:
    q, serif = min(p.w * 0.9, p.r * p.v["round_d"]), -p.w * p.v["serif_d"]
    return [[(serif, 0), *p.tr(p.w, 0, q), *p.br(p.w, p.h, q), (serif, p.h)], [(0, 0), (0, p.h)]]


def _g(p: _Pen) -> list[Path]:
    bar = p.h * p.v["bar_g"]
    spur: list[Path] = [[(p.w, bar), (p.w, p.h)]] if p.v["spur_g"] else []
    return [[*p.c_shape(), (p.w, bar), (p.w * 0.5, bar)], *spur]


def _i(p: _Pen) -> list[Path]:
    w, h = p.w, p.h
    serifs: list[Path] = (
        [[(w * 0.15, 0), (w * 0.85, 0)], [(w * 0.15, h), (w * 0.85, h)]] if p.v["serif_i"] else []
    )
    return [[(w / 2, 0), (w / 2, h)], *serifs]


def _j(p: _Pen) -> list[Path]:
    serif: list[Path] = [[(p.w * 0.4, 0), (p.w, 0)]] if p.v["serif_j"] else []
    return [[(p.w, 0), *p.br(p.w, p.h, p.r), *p.bl(0, p.h, p.r), (0, p.h - p.r * 1.3)], *serif]


def _p(p: _Pen) -> list[Path]:
    return [[(0, p.h), (0, 0), *p.tr(p.w, 0, p.rm), *p.br(p.w, p.h * 0.54, p.rm), (0, p.h * 0.54)]]


def _q(p: _Pen) -> list[Path]:
    w, h = p.w, p.h
    tails: list[Path] = [
        [(w * 0.5, h * 0.64), (w * 1.04, h * 1.02)],
        [(w * 0.45, h * 0.66), (w * 0.98, h * 0.99)],
        [(w * 0.52, h * 0.58), (w * 0.92, h * 1.02)],
    ]
    return [p.ring(0, 0, w, h, p.r), tails[int(p.v["tail_q"])]]


def _r(p: _Pen) -> list[Path]:
    w, h = p.w, p.h
    bowl = [(0, h), (0, 0), *p.tr(w, 0, p.rm), *p.br(w, h * 0.52, p.rm), (0, h * 0.52)]
    straight: Path = [(w * 0.45, h * 0.52), (w, h)]
    bent: Path = [(w * 0.5, h * 0.52), (w * 0.95, h * 0.65), (w * 0.95, h)]
    return [bowl, straight if p.v["leg_r"] else bent]


def _s(p: _Pen) -> list[Path]:
    w, h, m, r, rm = p.w, p.h, p.m, p.r, p.rm
    upper = [(w, r * 1.2), *p.tr(w, 0, r)[::-1], *p.tl(0, 0, r)[::-1], (0, m - rm), *p.bl(0, m, rm)[::-1]]
    return [[*upper, *p.tr(w, m, rm), *p.br(w, h, r), *p.bl(0, h, r), (0, h - r * 1.2)]]


def _v(p: _Pen) -> list[Path]:
    w, h, flat = p.w, p.h, p.v["flat_v"]
    if flat == 0:
        return [[(0, 0), (w / 2, h), (w, 0)]]
    if flat < 0.2:
        return [[(0, 0), (w * (0.5 - flat), h), (w * (0.5 + flat), h), (w, 0)]]
    return [[(0, 0), (0, h * 0.55), (w / 2, h), (w, h * 0.55), (w, 0)]]


def _w(p: _Pen) -> list[Path]:
    w, h, peak = p.w, p.h, p.h * p.v["peak_w"]
    foot = 0.22 if p.v["slant_w"] else 0.03
    return [[(0, 0), (w * foot, h), (w / 2, peak), (w * (1 - foot), h), (w, 0)]]


_GLYPHS: dict[str, Callable[[_Pen], list[Path]]] = {
    "0": _zero, "1": _one, "2": _two, "3": _three, "4": _four, "5": _five, "6": _six, "7": _seven, "8": _eight,
    "9": _nine, "A": _a, "B": _b, "C": lambda p: [p.c_shape()], "D": _d,
    "E": lambda p: [[(p.w, 0), (0, 0), (0, p.h), (p.w, p.h)], [(0, p.m), (p.w * 0.8, p.m)]],
    "F": lambda p: [[(p.w, 0), (0, 0), (0, p.h)], [(0, p.m), (p.w * 0.8, p.m)]],
    "G": _g,
    "H": lambda p: [[(0, 0), (0, p.h)], [(p.w, 0), (p.w, p.h)], [(0, p.m), (p.w, p.m)]],
    "I": _i, "J": _j,
    "K": lambda p: [[(0, 0), (0, p.h)], [(p.w, 0), (0, p.h * 0.58)], [(p.w * 0.3, p.h * 0.42), (p.w, p.h)]],
    "L": lambda p: [[(0, 0), (0, p.h), (p.w, p.h)]],
    "M": lambda p: [[(0, p.h), (0, 0), (p.w / 2, p.h * p.v["dip_m"]), (p.w, 0), (p.w, p.h)]],
    "N": lambda p: [[(0, p.h), (0, 0), (p.w, p.h), (p.w, 0)]],
    "O": lambda p: [p.ring(0, 0, p.w, p.h, p.r * p.v["round_o"])],
    "P": _p, "Q": _q, "R": _r, "S": _s,
    "T": lambda p: [[(0, 0), (p.w, 0)], [(p.w / 2, 0), (p.w / 2, p.h)]],
    "U": lambda p: [[(0, 0), *p.bl(0, p.h, p.r)[::-1], *p.br(p.w, p.h, p.r)[::-1], (p.w, 0)]],
    "V": _v, "W": _w,
    "X": lambda p: [[(0, 0), (p.w, p.h)], [(p.w, 0), (0, p.h)]],
    "Y": lambda p: [[(0, 0), (p.w / 2, p.h * 0.5), (p.w, 0)], [(p.w / 2, p.h * 0.5), (p.w / 2, p.h)]],
    "Z": lambda p: [[(0, 0), (p.w, 0), (0, p.h), (p.w, p.h)]],
}  # fmt: skip


def stroke_masks(rng: random.Random, style: StrokeStyle | None = None) -> dict[str, Mask]:
    """Render all 36 glyphs of a style (a random one by default) as masks of 96 px height, 255 where ink is."""
    style = style or StrokeStyle.draw(rng)
    masks: dict[str, Mask] = {}
    for char in ALPHABET:
        width = style.width * (style.wide if char in "MWVAXYNQ" else 1)
        if char in "1I" and style.values["narrow_1"]:
            width *= 0.6
        height = GLYPH_HEIGHT - style.stroke - 2
        canvas = np.zeros((GLYPH_HEIGHT, int(width + style.stroke + 4)), np.uint8)
        offset = np.array([style.stroke / 2 + 2, style.stroke / 2 + 1])
        for path in _GLYPHS[char](_Pen(width, height, style)):
            points = (
                np.round((np.array(path) + offset) * (1 << SUBPIXEL_BITS)).astype(np.int32).reshape(-1, 1, 2)
            )
            thickness = max(1, round(style.stroke))
            cv2.polylines(canvas, [points], False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
        masks[char] = canvas
    return masks
