"""Issuing states and territories of the United States, by USPS code, and "unknown".

Rules
-----
1. A state is named by its two-letter code; ``UNKNOWN`` stands for one that could not be read or was not
   given.
2. Parsing takes a code or a name in any case, with or without a leading ``US-``; anything else is refused,
   not guessed.
3. Unknown matches nothing for certain: the caller decides what an unknown state is good for (a lead, at
   most).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """An issuing state: its code and its name."""

    code: str
    name: str

    @property
    def known(self) -> bool:
        """Whether the state is known."""
        return self.code != "unknown"


class StateError(ValueError):
    """The text names no state; the message says what is taken."""


UNKNOWN = State("unknown", "Unknown")

STATES: tuple[State, ...] = tuple(
    State(code, name)
    for code, name in (
        ("AL", "Alabama"),
        ("AK", "Alaska"),
        ("AZ", "Arizona"),
        ("AR", "Arkansas"),
        ("CA", "California"),
        ("CO", "Colorado"),
        ("CT", "Connecticut"),
        ("DE", "Delaware"),
        ("DC", "District of Columbia"),
        ("FL", "Florida"),
        ("GA", "Georgia"),
        ("HI", "Hawaii"),
        ("ID", "Idaho"),
        ("IL", "Illinois"),
        ("IN", "Indiana"),
        ("IA", "Iowa"),
        ("KS", "Kansas"),
        ("KY", "Kentucky"),
        ("LA", "Louisiana"),
        ("ME", "Maine"),
        ("MD", "Maryland"),
        ("MA", "Massachusetts"),
        ("MI", "Michigan"),
        ("MN", "Minnesota"),
        ("MS", "Mississippi"),
        ("MO", "Missouri"),
        ("MT", "Montana"),
        ("NE", "Nebraska"),
        ("NV", "Nevada"),
        ("NH", "New Hampshire"),
        ("NJ", "New Jersey"),
        ("NM", "New Mexico"),
        ("NY", "New York"),
        ("NC", "North Carolina"),
        ("ND", "North Dakota"),
        ("OH", "Ohio"),
        ("OK", "Oklahoma"),
        ("OR", "Oregon"),
        ("PA", "Pennsylvania"),
        ("RI", "Rhode Island"),
        ("SC", "South Carolina"),
        ("SD", "South Dakota"),
        ("TN", "Tennessee"),
        ("TX", "Texas"),
        ("UT", "Utah"),
        ("VT", "Vermont"),
        ("VA", "Virginia"),
        ("WA", "Washington"),
        ("WV", "West Virginia"),
        ("WI", "Wisconsin"),
        ("WY", "Wyoming"),
        ("AS", "American Samoa"),
        ("GU", "Guam"),
        ("MP", "Northern Mariana Islands"),
        ("PR", "Puerto Rico"),
        ("VI", "U.S. Virgin Islands"),
    )
)
BY_CODE: dict[str, State] = {state.code: state for state in (*STATES, UNKNOWN)}


def parse_state(text: str) -> State:
    """The state that a code or a name stands for; empty text and ``unknown`` give ``UNKNOWN``.

    Raises:
        StateError: the text is neither.

    Example:
        >>> parse_state("us-ca").name, parse_state("new york").code
        ('California', 'NY')
    """
    key = _key(text)
    state = _BY_KEY.get(key) or _BY_KEY.get(key.removeprefix("us") or key)
    if state is None:
        raise StateError(
            f"{text[:40]!r} is no state: give a two-letter code (CA), a name (California) or unknown."
        )
    return state


def _key(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


_BY_KEY: dict[str, State] = {
    key: state for state in (*STATES, UNKNOWN) for key in (_key(state.code), _key(state.name))
} | {"": UNKNOWN, "xx": UNKNOWN, "virginislands": BY_CODE["VI"], "washingtondc": BY_CODE["DC"]}
