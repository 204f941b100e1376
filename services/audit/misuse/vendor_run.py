"""The detectors over another vendor's export, and what they found as one summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.audit.looks import Look
from services.audit.misuse.flags import Flag
from services.audit.misuse.panel import Panel
from services.audit.misuse.thresholds import DEFAULT, Thresholds
from services.audit.misuse.vendor import POOLED, BadRow, VendorReader
from services.audit.misuse.words import is_vague

MOST_FLAGS = 5000
_MANY = 20
_EVERY = 20_000
_POOL_NOTE = "; names are redacted, so this may be several members"


@dataclass(slots=True)
class Summary:
    """What an export holds and what the detectors say of it."""

    form: str
    rows: int = 0
    malformed_rows: int = 0
    malformed: list[BadRow] = field(default_factory=list)
    duplicates: int = 0
    redacted_rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    members: int = 0
    without_case: int = 0
    vague: int = 0
    without_plate: int = 0
    organisations: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    actions: Mapping[str, int] = field(default_factory=dict)
    unknown_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    flags_by_detector: Mapping[str, int] = field(default_factory=dict)


def summarise(
    reader: VendorReader,
    limits: Thresholds = DEFAULT,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Show an export that was read to its end to the detectors; ``progress`` is told the looks so far now and then."""
    result = Summary(
        reader.form, reader.rows, reader.malformed_rows, reader.malformed, redacted_rows=reader.redacted_rows
    )
    result.unknown_columns = reader.unknown
    result.missing_columns = [c for c in ("name", "plate", "reason", "case") if c not in reader.columns]
    # A pattern is told at every look that it grows by: the last telling has the whole of it.
    limits = limits.but({"told_again_at": 1})
    named, pooled = Panel(limits), Panel(limits, pooled=True)
    organisations, reasons, actions, members = Counter[str](), Counter[str](), Counter[str](), set[str]()
    strongest: dict[tuple[str, str, str], Flag] = {}
    for count, look in enumerate(reader.looks(), 1):
        result.first, result.last = result.first or look.at, look.at
        organisations[look.workload] += 1
        reasons[look.reason.lower()[:80]] += 1
        actions[look.action] += 1
        if len(reasons) > 10 * _EVERY:
            reasons = Counter(dict(reasons.most_common(_EVERY)))
        members.add(look.member_id)
        result.without_case += not look.case_number
        result.without_plate += not look.plate
        result.vague += is_vague(look.reason, look.offence)
        for flag in _seen(named, pooled, look):
            strongest[flag.detector, flag.member_id, flag.subject] = flag
        if count % _EVERY == 0:
            progress(count)
    result.duplicates, result.members = reader.duplicates, len(members)
    result.organisations, result.reasons = (
        dict(organisations.most_common(_MANY)),
        dict(reasons.most_common(_MANY)),
    )
    result.actions = dict(actions.most_common(_MANY))
    ordered = sorted(strongest.values(), key=lambda f: (-len(f.indexes), f.at))
    result.flags_by_detector = dict(Counter(f.detector for f in ordered).most_common())
    result.flags = ordered[:MOST_FLAGS]
    return result


def _seen(named: Panel, pooled: Panel, look: Look) -> Iterable[Flag]:
    if not look.member_id.startswith(POOLED):
        return named.see(look)
    return (
        Flag(f.detector, f.agency_id, f.member_id, f.subject, f.at, f.explanation + _POOL_NOTE, f.indexes)
        for f in pooled.see(look)
    )
