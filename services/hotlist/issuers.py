"""Who issued a plate, in the form in which reads name it (ISO 3166-2). Pure: anything else is unknown, never guessed.

Codes of two letters are those of the United States (``plates.states``) and of the provinces of Canada. ``NB`` is Nebraska in NCIC
and New Brunswick in the post: it is unknown, so that a hit is a lead.
"""

from __future__ import annotations

import re
from functools import lru_cache

from plates.states import BY_CODE, StateError, parse_state
from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

UNKNOWN = ""
_ISO = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}", re.ASCII)
_COUNTRIES = {"US": "US", "USA": "US", "MX": "MX", "MEX": "MX", "CAN": "CA", "CANADA": "CA"}
_PROVINCES = frozenset({"AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT"})
# As NCIC and older tables write them.
_ALSO = {"PQ": "QC", "NF": "NL", "NK": "NB", "SN": "SK"}
_AMBIGUOUS = frozenset({"NB"})


@lru_cache(maxsize=1024)
def issuer(text: str) -> str:
    """Return the issuer that a code or a name stands for, "" where there is none that is known.

    Example:
        >>> issuer("CA"), issuer("us-nv"), issuer("California"), issuer("ON"), issuer("ZZ")
        ('US-CA', 'US-NV', 'US-CA', 'CA-ON', '')
    """
    code = text.strip().upper()
    if code in _COUNTRIES:
        return _COUNTRIES[code]
    if code in _AMBIGUOUS:
        return UNKNOWN
    province = _ALSO.get(code, code)
    if province in _PROVINCES:
        return f"CA-{province}"
    if "-" in code and not code.startswith("US-"):
        return _abroad(code)
    return _state(code)


def _abroad(code: str) -> str:
    country, _, part = code.partition("-")
    return code if _ISO.fullmatch(code) and (country != "CA" or part in _PROVINCES) else UNKNOWN


def _state(code: str) -> str:
    if code.startswith("US-") and code.removeprefix("US-") not in BY_CODE:
        return UNKNOWN
    try:
        state = parse_state(code)
    except StateError:
        return UNKNOWN
    return f"US-{state.code}" if state.known else UNKNOWN


def given(text: str) -> str:
    """Return the issuer that a member named, "" where none was named.

    Raises:
        PlatewardError: INVALID_ARGUMENT; it is none.
    """
    found = issuer(text)
    if not found and text.strip().casefold() not in ("", "unknown"):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            f"{text[:8]!r} is no issuing state: give one like US-CA or CA-ON, or none, and hits are leads.",
        )
    return found
