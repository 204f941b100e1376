"""Characters that readers and people take for each other on a plate.

Rules
-----
1. The pairs and their weights are data: the weight (0 to 1) is how alike two characters look on an embossed
   or flat plate; a character is 1 to itself, and pairs that are not listed are 0. Likeness is symmetric.
2. A *class* holds characters so alike (weight ``CLASS_WEIGHT`` or more, through any chain) that an index
   folds them into one representative. Weaker pairs (T and 7, V and Y) are alike but fold into nothing.
3. Folding is for look-up keys only. A folded plate is never shown or stored as what was read.
"""

from __future__ import annotations

from plates.normal import normalize

CLASS_WEIGHT = 0.6

# Pairs in order of likeness. Weights are a prior; a deployment's own confusion counts are what refines them.
PAIRS: tuple[tuple[str, str, float], ...] = (
    ("0", "O", 0.95),
    ("1", "I", 0.9),
    ("0", "D", 0.7),
    ("0", "Q", 0.75),
    ("O", "D", 0.75),
    ("O", "Q", 0.8),
    ("D", "Q", 0.6),
    ("8", "B", 0.8),
    ("5", "S", 0.8),
    ("2", "Z", 0.8),
    ("6", "G", 0.65),
    ("1", "L", 0.6),
    ("I", "L", 0.6),
    ("C", "G", 0.45),
    ("0", "U", 0.3),
    ("O", "C", 0.35),
    ("1", "7", 0.4),
    ("1", "T", 0.35),
    ("I", "T", 0.4),
    ("7", "T", 0.45),
    ("7", "Y", 0.3),
    ("7", "Z", 0.35),
    ("2", "7", 0.3),
    ("V", "Y", 0.5),
    ("U", "V", 0.45),
    ("V", "W", 0.3),
    ("N", "W", 0.25),
    ("M", "W", 0.3),
    ("M", "N", 0.45),
    ("H", "N", 0.4),
    ("H", "M", 0.35),
    ("K", "X", 0.45),
    ("X", "Y", 0.35),
    ("E", "F", 0.5),
    ("F", "P", 0.45),
    ("P", "R", 0.5),
    ("A", "4", 0.45),
    ("3", "8", 0.5),
    ("3", "B", 0.45),
    ("3", "9", 0.3),
    ("6", "8", 0.45),
    ("8", "9", 0.35),
    ("5", "6", 0.4),
    ("J", "U", 0.35),
    ("J", "1", 0.3),
    ("8", "S", 0.35),
    ("B", "R", 0.35),
    ("9", "P", 0.25),
    ("9", "G", 0.25),
    ("A", "R", 0.25),
)


def _build_weights() -> dict[str, dict[str, float]]:
    weights: dict[str, dict[str, float]] = {}
    for first, second, weight in PAIRS:
        weights.setdefault(first, {})[second] = weight
        weights.setdefault(second, {})[first] = weight
    return {
        character: dict(sorted(alike.items(), key=lambda pair: (-pair[1], pair[0])))
        for character, alike in weights.items()
    }


def _build_classes() -> tuple[str, ...]:
    groups: list[set[str]] = []
    for first, second, weight in PAIRS:
        if weight >= CLASS_WEIGHT:
            touched = [group for group in groups if group & {first, second}]
            groups = [group for group in groups if group not in touched]
            groups.append({first, second}.union(*touched))
    return tuple(sorted("".join(sorted(group)) for group in groups))


WEIGHTS: dict[str, dict[str, float]] = _build_weights()
"""Per character, the characters it looks like with their weights, most alike first."""

CLASSES: tuple[str, ...] = _build_classes()
"""The look-alike classes, such as ``0DOQ`` and ``1IL``; the first character of each represents it."""

_FOLD = str.maketrans({character: group[0] for group in CLASSES for character in group[1:]})


def canonical(text: str) -> str:
    """The index key of a plate: its normal form with each character folded to its class's representative.

    Raises:
        PlateError: the text has no normal form.

    Example:
        >>> canonical("OB1-Q") == canonical("08I 0")
        True
    """
    return normalize(text).translate(_FOLD)


def alike(first: str, second: str) -> float:
    """How alike two normal characters look, 0 to 1."""
    return 1.0 if first == second else WEIGHTS.get(first, {}).get(second, 0.0)


def similarity(first: str, second: str) -> float:
    """How alike two plates look, 0 to 1: the product over their characters, 0 when the lengths differ.

    Raises:
        PlateError: a text has no normal form.

    Example:
        >>> similarity("ABC123", "ABC123"), similarity("ABC123", "XBC123")
        (1.0, 0.0)
    """
    left, right = normalize(first), normalize(second)
    if len(left) != len(right):
        return 0.0
    product = 1.0
    for one, other in zip(left, right, strict=True):
        product *= alike(one, other)
    return product
