"""An audit's life, folded from its records: planned → sample drawn, in review → signed off.

Rules
-----
1. Records are only ever added; the newest finding on a look counts, earlier ones stay.
2. Who reviews does not approve. Only the reviewer draws and finds, only the approver signs off.
3. Nothing is signed off while a sampled look has no finding, or a violation has no corrective action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

PLANNED, DRAWN, FOUND, SIGNED_OFF = "planned", "drawn", "found", "signed-off"


@dataclass(frozen=True, slots=True)
class Record:
    """One step of an audit's life."""

    audit_id: str
    kind: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(slots=True)
class PeriodicAudit:
    """An audit as it stands."""

    audit_id: str
    agency_id: str
    start: datetime
    end: datetime
    reviewer_id: str
    approver_id: str
    sample_rate: float
    due_at: datetime
    planned_at: datetime
    seed: bytes = b""
    drawn_at: datetime | None = None
    population: int = 0
    drawn: tuple[int, ...] = ()
    flagged: tuple[int, ...] = ()
    tree_size: int = 0
    findings: dict[int, dict[str, Any]] = field(default_factory=dict)
    signed_off_at: datetime | None = None

    @property
    def state(self) -> audit_pb2.AuditState.ValueType:
        """Where it stands."""
        if self.signed_off_at is not None:
            return audit_pb2.AUDIT_STATE_SIGNED_OFF
        return audit_pb2.AUDIT_STATE_IN_REVIEW if self.drawn_at else audit_pb2.AUDIT_STATE_PLANNED

    @property
    def sample(self) -> tuple[int, ...]:
        """Everything that is to be reviewed."""
        return tuple(sorted({*self.drawn, *self.flagged}))

    @property
    def open(self) -> tuple[int, ...]:
        """Sampled looks without a finding."""
        return tuple(i for i in self.sample if i not in self.findings)

    def check_reviewer(self, member_id: str) -> None:
        """Refuse anybody else's review, and any change after the end.

        Raises:
            PlatewardError: DENIED_BY_POLICY or WRONG_STATE.
        """
        if self.signed_off_at is not None:
            raise conflict("the audit is signed off: plan a new one to look again")
        if member_id != self.reviewer_id:
            raise denied(f"only its reviewer {self.reviewer_id} conducts this audit")

    def check_finding(self, index: int, kind: int, corrective_action: str) -> None:
        """Refuse a finding that is not of this sample or says too little.

        Raises:
            PlatewardError: WRONG_STATE or INVALID_ARGUMENT.
        """
        if self.drawn_at is None:
            raise conflict("the sample is not drawn yet: draw it first")
        if index not in self.sample:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT, f"entry {index} is not in this audit's sample: look at the sample again"
            )  # fmt: skip
        if kind == audit_pb2.FINDING_KIND_VIOLATION and not corrective_action.strip():
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT, "a violation needs a corrective action: say what is done, and by when"
            )  # fmt: skip

    def check_sign_off(self, member_id: str) -> None:
        """Refuse a sign-off that is too early or somebody else's.

        Raises:
            PlatewardError: DENIED_BY_POLICY or WRONG_STATE.
        """
        if self.signed_off_at is not None:
            raise conflict("the audit is signed off already")
        if member_id != self.approver_id:
            raise denied(f"only its approver {self.approver_id} signs this audit off")
        if self.drawn_at is None:
            raise conflict("the sample is not drawn yet")
        if self.open:
            raise conflict(f"{len(self.open)} sampled looks have no finding yet, entry {self.open[0]} first")


def fold(records: Iterable[Record]) -> PeriodicAudit | None:
    """Return the audit that its records make, oldest first; None of no records."""
    audit: PeriodicAudit | None = None
    for record in records:
        data = record.data
        if record.kind == PLANNED:
            start, end, due = (datetime.fromisoformat(data[name]) for name in ("start", "end", "due_at"))
            audit = PeriodicAudit(
                record.audit_id, data["agency_id"], start, end, data["reviewer_id"], data["approver_id"], data["sample_rate"], due,
                record.at, bytes.fromhex(data["seed"]),
            )  # fmt: skip
        elif audit is not None and record.kind == DRAWN:
            audit.drawn_at, audit.seed = record.at, bytes.fromhex(data["seed"])
            audit.population, audit.tree_size = data["population"], data["tree_size"]
            audit.drawn, audit.flagged = tuple(data["drawn"]), tuple(data["flagged"])
        elif audit is not None and record.kind == FOUND:
            audit.findings[data["index"]] = {**data, "at": record.at.isoformat()}
        elif audit is not None and record.kind == SIGNED_OFF:
            audit.signed_off_at = record.at
    return audit


def conflict(message: str) -> PlatewardError:
    """A step that comes at the wrong time."""
    return PlatewardError(errors_pb2.ERROR_REASON_WRONG_STATE, message)


def denied(message: str) -> PlatewardError:
    """A step by the wrong person."""
    return PlatewardError(
        errors_pb2.ERROR_REASON_DENIED_BY_POLICY, message, metadata={"rule": "audit.separation-of-duties"}
    )
