"""What is written on plates: formats of the United States, Europe and Brazil, and vanity plates."""

from __future__ import annotations

import random
from typing import Literal

from scenes.glyphs import ALPHABET

Region = Literal["us", "eu", "br"]
REGION_SHARES: dict[Region, float] = {"us": 0.66, "eu": 0.22, "br": 0.12}
LETTERS, DIGITS = ALPHABET[10:], ALPHABET[:10]
SEPARATORS = " -"

# L is a letter, N a digit; the rest stands as it is.
FORMATS: dict[Region, list[str]] = {
    "us": [
        "LLL NNN",
        "LLL NNNN",
        "LLL-NNNN",
        "NNN LLL",
        "NNN-LLL",
        "LLN LNL",
        "LLN-LNL",
        "NLLLNNN",
        "NLLLNNN",
        "NNN NNN",
        "NNNNNN",
        "LNN NNNN",
        "L NNNNNN",
        "NLL NNN",
        "NL LNNNN",
        "LLLNNNN",
        "NNNLLL",
        "LLNNNN",
        "LL NNNNN",
        "NNLLNN",
        "LNNLLN",
        "NNNNLL",
        "NLNNNNN",
        "LL-NNNN",
        "NNNN",
        "NNN NN",
        "LNLLNN",
        "NNL NNL",
        "LLLL NN",
        "NLN NNLL",
        "N LNNNNN",
        "LNNNNNN",
        "NNNNNNN",
        "LLNLNL",
        "LLLNNL",
        "NNNLNN",
        "NN LLLL",
    ],
    "eu": [
        "LL-NNNLL",
        "LL NNNLL",
        "NLN NNNN",
        "NLN-NNNN",
        "LL NNNNN",
        "LLL NNNN",
        "LLNN LLL",
        "LL-NNN-LL",
        "L-LL NNNN",
        "LLL LL NN",
        "LL-LL-NN",
        "LLL-NNNN",
        "LL NNNN L",
        "LLL NN-NN",
        "N LLL NNN",
        "L NNNNNN",
    ],
    "br": ["LLL-NNNN", "LLL NNNN", "LLLNLNN"],
}
_VANITY = [
    "A",
    "E",
    "I",
    "O",
    "U",
    "AR",
    "ER",
    "IN",
    "ON",
    "LY",
    "RED",
    "MOM",
    "DAD",
    "CAT",
    "GO",
    "FUN",
    "SUN",
    "BIG",
    "GR8",
    "LUV",
    "RUN",
    "CAR",
    "4U",
    "K9",
    "ZOOM",
    "SPEED",
    "FAST",
    "ROCK",
    "GOLF",
    "MAN",
    "BOY",
    "GIRL",
    "HEY",
    "YO",
    "WOW",
    "DOC",
    "JET",
    "SKI",
    "HOT",
    "BLU",
    "ICE",
    "MR",
    "MY",
    "KING",
    "ANY",
    "TEXT",
]


def _split_somewhere(text: str, rng: random.Random) -> str:
    k = rng.randint(1, len(text) - 1)
    return text[:k] + rng.choice(SEPARATORS) + text[k:]


def _vanity(rng: random.Random) -> str:
    parts = [
        rng.choice(_VANITY) if rng.random() < 0.5 else rng.choice(LETTERS) for _ in range(rng.randint(1, 5))
    ]
    text = "".join(parts)[:7]
    if len(text) < 2:
        text += rng.choice(ALPHABET)
    return _split_somewhere(text, rng) if 3 < len(text) < 7 and rng.random() < 0.3 else text


def draw_text(rng: random.Random, region: Region, *, unusual: float = 0.22) -> str:
    """Draw a plate text with its separators (blank or hyphen).

    Args:
        rng: source of randomness.
        region: whose formats to use.
        unusual: share of vanity plates and of texts without any format, which keep a reader from
            learning the formats instead of the glyphs.
    """
    u = rng.random()
    if region == "us" and u < unusual / 2:
        return _vanity(rng)
    if u < unusual:
        length = rng.choices([2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 4, 10, 12, 2])[0]
        text = "".join(rng.choice(ALPHABET) for _ in range(length))
        return _split_somewhere(text, rng) if length > 3 and rng.random() < 0.5 else text
    return format_text(rng, rng.choice(FORMATS[region]))


def format_text(rng: random.Random, pattern: str) -> str:
    """Fill a format: L becomes a letter, N a digit."""
    pick = {"L": LETTERS, "N": DIGITS}
    return "".join(rng.choice(pick[c]) if c in pick else c for c in pattern)
