"""Serial formats: which orders of letters and digits plates have. Most plates of a country share a few.

A format is written with ``L`` for a letter and ``D`` for a digit: California's 7ABC123 is ``DLLLDDD``. The lists are of passenger and
light-truck serials of the US states (as their motor-vehicle departments describe them) and of common European ones; personalised plates
have any format, so an unknown format is a hint against a reading, never a proof.
"""

from __future__ import annotations

_US = """
DLLLDDD LLLDDDD LLLDDD DDDLLL LLLLDD LDDDLL LLDDLL LLDDDDD LDDDDDD DDDDDDD LDDLLL LLLDDL LDDDDL DDDLLDD DLLLDD DDDLLD DDLLDD LLDLDL
DLLDDDD DLDDDDD LDLDDD DDLDDD DDDLDD DDDDLLL DLLDDD DLDDDD LDDDDDL DDDDDD DDDDLL LLDDD LLDDDD DDDDDDL LDDDDD DDDDD DDLDDDD DLDDDL
"""
_EUROPE = "LLDDLLL DDDDLLL LLDDDLL LDDLLL LDDDLLL LLDDDDLL DDLLDDD DLDDDDD LLLDDLL"
# One to three letters of a district, one or two more, one to four digits: Germany, Austria, Poland and others.
_DISTRICT = (f"{'L' * letters}{'D' * digits}" for letters in range(2, 6) for digits in range(1, 5))
KNOWN = frozenset((*_US.split(), *_EUROPE.split(), *_DISTRICT))
_CLASSES = str.maketrans(
    {**dict.fromkeys("0123456789", "D"), **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "L")}
)


def serial_format(text: str) -> str:
    """The format of a plate in normal form: ``L`` and ``D`` for its letters and digits.

    Example:
        >>> serial_format("7ABC123")
        'DLLLDDD'
    """
    return text.translate(_CLASSES)


def is_known_format(text: str) -> bool:
    """Whether a plate in normal form has a format that is common somewhere."""
    return serial_format(text) in KNOWN
