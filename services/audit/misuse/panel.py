"""All detectors over one stream of looks."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

from services.audit.looks import Look
from services.audit.misuse.cases import CaseReuse
from services.audit.misuse.flags import Detector, Flag
from services.audit.misuse.habits import IsolatedSession, OffDuty, VagueReason, WideScope
from services.audit.misuse.targets import Attention, HouseholdCluster, ProtectedPlate, RepeatTarget
from services.audit.misuse.thresholds import DEFAULT, Thresholds
from services.audit.misuse.words import names_a_case

NAMES = tuple(
    d.name
    for d in (
        RepeatTarget, HouseholdCluster, ProtectedPlate, OffDuty, IsolatedSession, WideScope, VagueReason, CaseReuse
    )
)  # fmt: skip


class Panel:
    """Shows looks, in order of time, to every detector; its state is bounded by the looks of the detectors' windows."""

    def __init__(
        self,
        limits: Thresholds = DEFAULT,
        *,
        protected: Container[bytes] = frozenset(),
        digest: Callable[[str], bytes] | None = None,
        pooled: bool = False,
    ) -> None:
        """Begin with nothing seen.

        Args:
            limits: what the detectors judge by.
            protected: keyed digests of the plates of members, their families, and canaries.
            digest: makes such a digest of a plate.
            pooled: several people may stand behind one member (redacted names): no detector judges a person's rhythm.
        """
        self._attention = Attention(limits)
        repeat, vague = RepeatTarget(self._attention, limits), VagueReason(limits)
        self._every: Sequence[Detector] = (repeat, vague) if pooled else (
            repeat, HouseholdCluster(self._attention, limits), ProtectedPlate(protected, digest), OffDuty(self._attention, limits),
            IsolatedSession(self._attention, limits), WideScope(limits), vague, CaseReuse(limits),
        )  # fmt: skip

    def see(self, look: Look) -> Iterable[Flag]:
        """Return what the detectors say of a look; looks without a person behind them are not judged."""
        if not look.member_id or not look.answered:
            return
        if look.case_number and not names_a_case(look.case_number):
            look = replace(look, case_number="")
        self._attention.see(look)
        for detector in self._every:
            yield from detector.see(look)
