"""Words of what people type, in a form in which they can be compared. Pure.

Rules
-----
1. Case, accents, full-width and look-alike letters of other alphabets make no difference, nor do dots between letters:
   "I.C.E.", the same in Cyrillic letters and "ice" are one word.
2. Single letters that stand apart are joined: "i c e" is "ice".
3. Digits inside of a word also stand for the letters they are used for: "1ce" is "1ce" and "ice".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9][a-z0-9'-]*")
_DOTTED = re.compile(r"\b(?:[a-z]\.){2,}[a-z]?\b|\b(?:[a-z] ){2,}[a-z]\b")
_LOOKALIKES = str.maketrans({
    "а": "a", "в": "b", "с": "c", "ԁ": "d", "е": "e", "һ": "h", "і": "i", "ї": "i", "ј": "j", "к": "k", "м": "m", "н": "h", "о": "o",
    "р": "p", "ѕ": "s", "т": "t", "у": "y", "х": "x", "ѵ": "v", "ԝ": "w", "α": "a", "β": "b", "ε": "e", "ι": "i", "κ": "k",
    "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "u", "χ": "x", "ı": "i", "’": "'", "‐": "-", "–": "-", "\u200b": "", "\u00ad": "",
})  # fmt: skip
_DIGITS = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t"})
_MOST_PHRASE = 3


def plain(text: str) -> str:
    """Return a text in lower-case ASCII letters as far as it can be brought there."""
    lowered = unicodedata.normalize("NFKD", text).casefold()
    kept = "".join(c for c in lowered if not unicodedata.combining(c)).translate(_LOOKALIKES)
    return _DOTTED.sub(lambda m: m[0].replace(".", "").replace(" ", ""), kept)


@lru_cache(maxsize=1024)
def tokens(text: str) -> tuple[str, ...]:
    """Return the words of a text in order."""
    return tuple(w.strip("'-") for w in _WORD.findall(plain(text)) if w.strip("'-"))


def words(text: str) -> dict[str, bool]:
    """Return the distinct words of a text that hold a letter and are longer than one, as an object."""
    return dict.fromkeys((w for w in tokens(text) if len(set(w)) > 1 and not w.isdigit()), True)


def terms(text: str, index: Mapping[str, str]) -> dict[str, bool]:
    """Return the keys of an index that a text touches: words, phrases of up to three words, and beginnings (``deport*``).

    What the index does not have is left out: the answer of the rules is the same, and they have less to look through.
    """
    typed = tokens(text)
    parts = [w for w in typed for w in w.split("-")]
    found: dict[str, bool] = {}
    for sequence in (list(typed), parts, [w.translate(_DIGITS) for w in parts]):
        for size in range(1, _MOST_PHRASE + 1):
            for start in range(len(sequence) - size + 1):
                phrase = " ".join(sequence[start : start + size])
                if phrase in index:
                    found[phrase] = True
    for word in {*parts, *(w.translate(_DIGITS) for w in parts)}:
        found.update((f"{word[:n]}*", True) for n in range(3, len(word) + 1) if f"{word[:n]}*" in index)
    return found
