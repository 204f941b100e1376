"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    what: str
    ok: bool
    result: str


@dataclass(slots=True)
class Verdict:
    """All that was checked; ``first_bad`` is the first entry that is, or may be, bad."""

    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    first_bad: int | None = None

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def add(self, what: str, ok: bool, result: str) -> None:
        """Add a check."""
        self.checks.append(Check(what, ok, result))

    def bad_at(self, index: int) -> None:
        """Say that an entry is bad."""
        self.first_bad = index if self.first_bad is None else min(self.first_bad, index)
