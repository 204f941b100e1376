"""Serial formats: which orders of letters and digits plates have, and how usual each is where a plate comes from.

A format is written with ``L`` for a letter and ``D`` for a digit: California's 7ABC123 is ``DLLLDDD``. The serials of a state are those
that its motor-vehicle department issues to passenger cars and light trucks and those that it issued before and are still on the road,
the most usual first; what is personalised, or of a special series, has any format. So a format is a hint against a reading, never a
proof: `format_prior` gives how probable it is, and every format has some probability.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache

_CLASSES = str.maketrans(
    {**dict.fromkeys("0123456789", "D"), **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "L")}
)
# State: registered cars and light trucks in millions (FHWA Highway Statistics, table MV-1, rounded), then its serials.
_STATES = """
AK 0.8 LLLDDD | AL 5.3 DLLDDDD DDLLDDD DDLDDDL DLDDDDD DDDDDLL DDDDLLD | AR 3 LLLDDL DDDLLL | AZ 6 LLLDDDD LLLDLL DDDLLL LLDDDDD
CA 30 DLLLDDD DDDDDLD DLDDDDD DDDDLLL | CO 5 LLLDDD LLLLDD DDDLLL | CT 2.8 LLDDDDD DDDLLL LLLDDD | DC 0.35 LLDDDD
DE 1 DDDDDD LLDDDD | FL 18 LLLLDD LDDLLL LLLDDL DDDLLL LDDDLL DDLLLL LLDDLL | GA 8.5 LLLDDDD | HI 1.2 LLLDDD
IA 3.7 LLLDDD DDDLLL | ID 1.9 DLDDDDD LDDDDDD DLLDDDD DLDDDD | IL 10 LLDDDDD LDDDDDD DDDDDDD LLDDDD | IN 6 DDDLLL DDDLL DDDL LLLDDD DDLDDDD
KS 2.5 DDDLLL DDDDLLL | KY 4.3 DDDLLL LDLDDD | LA 3.8 DDDLLL LLLDDD | MA 5 DLLLDD DLLDDD DDDLLD DDDDLL DDDLL DLDDDD LLLDDD
MD 4 DLLDDDD LLLDDD DDLLDD | ME 1.1 DDDDLL DDDDDL DDDLLL | MI 8.3 LLLDDDD DLLLDD LLLDDD | MN 5.2 LLLDDD DDDLLL
MO 5.3 LLDLDL DDDLLL LLLDDD | MS 2 LLLDDDD LLLDDD DDDLLL | MT 1.7 DDDDDDL LLLDDD DDDDDL | NC 8 LLLDDDD | ND 0.8 DDDLLL LLLDDD
NE 1.9 LLLDDD DDLDDD DLDDDD | NH 1.3 DDDDDDD DDDDDD | NJ 6 LDDLLL LLLDDL LLDDDL | NM 1.8 LLLDDD DDDLLL LLLLDD
NV 2.5 DDLDDD DDDLDD DDDLLL DDLLDD | NY 10.5 LLLDDDD DDDDLL | OH 10 LLLDDDD LLDDLL | OK 3.5 LLLDDD DDDLLL | OR 3.8 DDDLLL LLLDDD
PA 10.2 LLLDDDD | PR 2 LLLDDD | RI 0.8 DDDDDD LLDDD DLLDDD | SC 4.5 LLLDDD DDDLLL DDDDLL | SD 1.2 DLLDDD DDLDDD DLDDDD
TN 5.7 LDDDDL LLLDDDD DDDLLL LDDLLL LLLDDD | TX 21 LLLDDDD LLDLDDD LDDLLL DDDLLL DDLLLD LLLDDD | UT 2.4 LDDDLL DLDLL DDDLLL LLLDDD
VA 7.5 LLLDDDD LLLDDD | VT 0.6 LLLDDD | WA 7 LLLDDDD DDDLLL LDDDDDL | WI 5.5 LLLDDDD DDDLLL | WV 1.6 DLLDDD DLDDDD DDLLDD
WY 0.8 DDDDDD DDDDDL DDDDD
"""
# A plate of elsewhere: the serials of European countries and Brazil, where one order is a whole country's.
_ELSEWHERE = """
LLDDLLL LLDDDLL DDDDLLL LLLDDDD LLDDDDD DLDDDDD DLLDDDD LLLDDD LLDDDDLL LDDDLLL LLDDLL LLLDLDD LLLDDLL LDDDDDD DLLLDDD LDDLLL DDLLLD
LDDDD LDDD LLDDD LLDDDD LLLDDDDD LLLDD LLLLDDD LLLLDD LLLLLDDD LLDDDDDL LLDDDDL LLLLDDDD LLLDDDL LLDDLLLL
"""
_SERIAL = 0.85  # share of plates with a serial; the others are personalised or of a special series
_FALLING = 0.5  # each further serial of a list is so much as usual as the one before
_TRUST = 0.8  # in what is known of the state; the rest goes to the states by their cars
_CHANGE = 0.25  # of a character of no serial to be of the other class than the one before it
_LENGTHS = {1: 0.01, 2: 0.02, 3: 0.04, 4: 0.08, 5: 0.2, 6: 0.35, 7: 0.27, 8: 0.02, 9: 0.01}
ELSEWHERE = "elsewhere"


def serial_format(text: str) -> str:
    """The format of a plate in normal form: ``L`` and ``D`` for its letters and digits.

    Example:
        >>> serial_format("7ABC123")
        'DLLLDDD'
    """
    return text.translate(_CLASSES)


def _falling(formats: list[str], by: float) -> dict[str, float]:
    weights = [by**i for i in range(len(formats))]
    return {f: w / sum(weights) for f, w in zip(formats, weights, strict=True)}


def _read(table: str) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    serials: dict[str, dict[str, float]] = {}
    cars: dict[str, float] = {}
    for row in table.replace("|", "\n").split("\n"):
        if row.strip():
            state, millions, *formats = row.split()
            serials[f"US-{state}"], cars[f"US-{state}"] = _falling(formats, _FALLING), float(millions)
    return serials, {state: n / sum(cars.values()) for state, n in cars.items()}


_SERIALS, _CARS = _read(_STATES)
_SERIALS[ELSEWHERE] = _falling(_ELSEWHERE.split(), 0.92)
KNOWN = frozenset(f for serials in _SERIALS.values() for f in serials)


@lru_cache(4096)
def _any_format(form: str) -> float:
    """How usual a format is among plates without a serial: words and numbers more than what mixes them."""
    changes = sum(a != b for a, b in itertools.pairwise(form))
    orders = 2 * (1 + _CHANGE) ** (len(form) - 1)
    return _LENGTHS.get(len(form), 1e-3) * _CHANGE**changes / orders


def format_prior(text: str, states: Mapping[str, float]) -> float:
    """How probable the format of a plate is.

    Args:
        text: in normal form, at least one character.
        states: what is known of where the plate is from: probabilities of states (``US-CA``) and `ELSEWHERE`; what they leave to 1
            goes to the states by their number of cars.

    Returns:
        A probability above 0 among formats (not among texts).
    """
    form = serial_format(text)
    trusted = {s: p * _TRUST for s, p in states.items() if s in _SERIALS}
    rest = max(0.0, 1.0 - sum(trusted.values()))
    serial = sum(p * _SERIALS[s].get(form, 0.0) for s, p in trusted.items()) + rest * _by_cars(form)
    return _SERIAL * serial + (1 - _SERIAL) * _any_format(form)


@lru_cache(4096)
def _by_cars(form: str) -> float:
    here = sum(share * _SERIALS[state].get(form, 0.0) for state, share in _CARS.items())
    return 0.7 * here + 0.3 * _SERIALS[ELSEWHERE].get(form, 0.0)
