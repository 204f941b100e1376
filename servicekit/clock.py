"""Time comes in through a clock: UTC, aware, replaceable in tests."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """The system's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)
