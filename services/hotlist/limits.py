"""What may stand on a list at all, and the most that an entry may lead to. Pure; one place for files and for entries by hand.

Rules
-----
1. Immigration enforcement is on no list (Gov. Code 7284.6): what names it in any of its texts is denied. Words are compared as
   `access` compares purposes (``servicekit/words.py``): case, punctuation, dots, look-alike letters and digits make no difference.
2. "ICE" by itself is the agency, unless what stands beside it makes it a thing ("ice cream truck", "black ice"). A row too many
   that is dropped is counted and can be entered by hand; one that gets through stops somebody.
3. Stored, impounded, repossessed and lost never lead to a stop, whoever says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from plateward.hotlist.v1 import hit_pb2
from servicekit.words import plain, terms, tokens

# Lists that are official extracts where the operator names no others (``PLATEWARD_HOTLIST_OFFICIAL_LISTS``).
OFFICIAL_LISTS = ("ncic", "ncic-vehicle", "ncic-plate")
_NEVER = frozenset(
    {"stored", "impound", "impounded", "repo", "repossessed", "repossession", "lost", "tow", "towed"}
)
_OFFICES = ("dhs", "hsi", "ins")
_HOLDS = (
    "warrant", "warrants", "detainer", "detainers", "hold", "holds", "administrative", "admin", "removal", "custody", "fugitive",
)  # fmt: skip
_DENIED = (
    "immigra*", "nationality act", "ice", "icewarrant*", "icedetainer*", "icehold*", "iceadmin*", "cbp", "ero", "uscis",
    "border patrol", "customs and border", "customs border", "customs enforcement", "enforcement and removal", "enforcement removal",
    "alien", "aliens", "a-file", "a-files", "undocumented", "illegals", "illegal entry", "illegal reentry", "illegal re entry",
    "unlawful reentry", "reentry after", "visa overstay", "visa overstays", "overstayed visa", "overstay visa", "ina violation",
    "ina section", "ina sec", "ina warrant", "ina 287", "ina 212", "ina 236", "ina 237", "ina 241", "per ina", "under ina", "8 usc",
    "287 g", "287g", "i-200", "i-205", "i-247*", "i 247*", "i200", "i205", "i247*", "i-247a", "i-247d", "i247a", "i247d", "nseers",
    "deport", "deports", "deported", "deportee*", "deporting", "deportation*", "deportable", "removal order", "removal orders",
    "order of removal", "orders of removal", "ordered removed", "order removal", "removal proceeding", "removal proceedings",
    "final removal", "administrative warrant", "administrative warrants", "admin warrant", "admin warrants", "administrative removal",
    "administrative arrest", "administrative detainer", "civil detainer", "civil immigration", "detainer dhs",
    *(f"{office} {hold}" for office in _OFFICES for hold in _HOLDS),
)  # fmt: skip
_INDEX = dict.fromkeys(_DENIED, "immigration")
# Whole texts, as files use them for a column of its own.
_ALONE = frozenset({"ina", "dhs", "hsi", "ivf"})
_THINGS = re.compile(
    r"\b(?:(?:black|dry)[\s-]+ice|ice[\s-]+(?:creams?|picks?|rinks?|skat\w*|hockey|box\w*|chests?|cubes?|machines?|coolers?|scrapers?|"
    r"fishing|age|tea|blue|white|silver|grey|gray|house|storms?|road|roads|on[\s-]+road\w*)|alien[\s-]+(?:decals?|stickers?|heads?))\b"
)
_SPELLED = re.compile(r"(?<![a-z0-9])(?:[a-z][\W_]{1,2}){2,}[a-z](?![a-z0-9])")
_LETTER = re.compile(r"[^\W\d_]")


def is_denied(texts: Iterable[str]) -> bool:
    """Say whether any of the texts of a row or an entry is about immigration enforcement; each is judged by itself."""
    return any(_names_it(text) for text in texts if len(text) > 2)


@lru_cache(maxsize=1024)
def never_a_stop(category: str) -> bool:
    """Say whether hits of a category are never a reason to stop anybody; words count, not how they are written.

    Example:
        >>> never_a_stop("Stored Vehicle"), never_a_stop("stolen-vehicle")
        (True, False)
    """
    return bool(_NEVER & {part for word in tokens(category) for part in word.split("-")})


def most_of(category: str, wanted: hit_pb2.MaxAction.ValueType) -> hit_pb2.MaxAction.ValueType:
    """Return the most that an entry may lead to, of what its mapping or its maker wants."""
    return min(wanted, hit_pb2.MAX_ACTION_LEAD) if never_a_stop(category) else wanted


# Cells repeat in a file of a million rows: makes, codes, notes.
@lru_cache(maxsize=8192)
def _names_it(text: str) -> bool:
    if not _LETTER.search(text):
        return False
    read = _THINGS.sub(" ", _SPELLED.sub(lambda m: re.sub(r"[\W_]", "", m[0]), plain(text)))
    if "immigra" in read or " ".join(tokens(read)) in _ALONE:
        return True
    return bool(terms(read, _INDEX))
