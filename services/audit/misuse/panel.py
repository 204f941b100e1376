"""All detectors over one stream of looks."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from services.audit.looks import Look
from services.audit.misuse.flags import Detector, Flag
from services.audit.misuse.habits import CaseReuse, IsolatedSession, OffDuty, VagueReason, WideScope
from services.audit.misuse.targets import HouseholdCluster, ProtectedPlate, RepeatTarget


def detectors(
    protected: Container[bytes] = frozenset(), digest: Callable[[str], bytes] | None = None
) -> Sequence[Detector]:
    """Return every detector, fresh.

    Args:
        protected: keyed digests of the plates of members, their families, and canaries.
        digest: makes such a digest of a plate.
    """
    return (
        RepeatTarget(), HouseholdCluster(), ProtectedPlate(protected, digest), OffDuty(), IsolatedSession(), WideScope(), VagueReason(),
        CaseReuse(),
    )  # fmt: skip


class Panel:
    """Shows looks, in order of time, to every detector."""

    def __init__(self, every: Sequence[Detector]) -> None:
        self._every = every

    def see(self, look: Look) -> Iterable[Flag]:
        """Return what the detectors say of a look; looks without a person behind them are not judged."""
        if look.member_id and look.answered:
            for detector in self._every:
                yield from detector.see(look)
