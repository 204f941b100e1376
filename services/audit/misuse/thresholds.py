"""Every number that the detectors judge by, in one place, with what it means."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Counts of looks unless said otherwise. Chosen on the seeds that ``bench-detectors`` names, never on those that it prints."""

    told_again_at: float = 2
    window_days: float = 45
    others_share: float = 0.1
    repeat_no_case: int = 6
    repeat_no_case_days: int = 4
    repeat_own_case: int = 18
    repeat_own_case_days: int = 8
    repeat_shared_case: int = 45
    repeat_shared_case_days: int = 15
    household_plates: int = 3
    household_looks_each: int = 4
    household_days: int = 3
    household_together_s: int = 900
    list_cases: int = 2
    list_share: float = 0.5
    off_duty_learn_days: float = 14
    off_duty_history: int = 6
    off_duty_share: float = 0.015
    off_duty_days: int = 2
    off_duty_days_any_plate: int = 3
    isolated_hours: float = 5
    isolated_days: int = 3
    wide_days: float = 60
    wide_agencies: int = 25
    wide_of_usual: float = 4
    wide_looks: int = 2
    vague_looks: int = 8
    vague_share: float = 0.6
    case_window_days: float = 120
    case_plates: int = 9
    case_days: int = 8
    case_everybody_members: int = 5
    case_everybody_plates: int = 25
    case_everybody_new_share: float = 0.8

    def but(self, changes: Mapping[str, float]) -> Thresholds:
        """Return these with some changed.

        Raises:
            ValueError: a name is not known or a number is not above zero; the message names what is.
        """
        known = {f.name: type(getattr(self, f.name)) for f in fields(self)}
        for name, value in changes.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise ValueError(f"there is no threshold {name!r}" + (f": {near[0]}?" if near else ""))
            if not value > 0:
                raise ValueError(f"threshold {name} must be above 0")
        return replace(self, **{name: known[name](value) for name, value in changes.items()})


DEFAULT = Thresholds()
