"""The report of a periodic audit: the twelve parts, each from the log, with the root that it rests on.

Sources of the parts: State Auditor 2019-118 recommendations 39 and 40 (plan, who reviewed, who approved), Los Altos Hills policy,
Minnesota's audit guidance (13.824 subd. 6).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from plateward.audit.v1 import audit_pb2, event_pb2
from servicekit.clock import Clock
from servicekit.crypto import UnsealError
from services.audit.looks import LOOKS
from services.audit.misuse.store import FlagStore
from services.audit.model import SealedEntryError, Sealer
from services.audit.periodic import render
from services.audit.periodic.life import PeriodicAudit
from services.audit.periodic.store import AuditStore
from services.audit.periodic.tally import Tally
from services.audit.sequencer import Sequencer
from services.audit.store import Payload, Store
from tlog.checkpoint import Checkpoint, open_checkpoint
from tlog.note import parse_note
from tlog.proofs import verify_consistency
from tlog.prover import consistency_proof

_MOST_ROWS = 200


class Reporter:
    """Builds reports."""

    def __init__(
        self,
        audits: AuditStore,
        store: Store,
        sealer: Sealer,
        sequencer: Sequencer,
        flags: FlagStore,
        clock: Clock,
    ) -> None:
        self._audits = audits
        self._store = store
        self._sealer = sealer
        self._sequencer = sequencer
        self._flags = flags
        self._clock = clock

    async def report(self, audit: PeriodicAudit, note: str, form: audit_pb2.ReportFormat.ValueType) -> bytes:
        """Return a report in a format, over the log as the checkpoint signs it."""
        tally = Tally(audit.agency_id)
        sample = frozenset(audit.sample)
        async for batch in self._audits.events(audit.agency_id, audit.start, audit.end):
            opened, sealed = await asyncio.to_thread(self._opened, batch)
            tally.add(opened, sample)
            tally.sealed += sealed
        parts = await self._parts(audit, tally, note)
        if form == audit_pb2.REPORT_FORMAT_JSON:
            return render.to_json(parts)
        return render.to_csv(parts) if form == audit_pb2.REPORT_FORMAT_CSV else render.to_html(parts)

    def _opened(self, batch: Sequence[Payload]) -> tuple[list[tuple[int, event_pb2.AuditEvent]], int]:
        opened, sealed = [], 0
        for row in batch:
            try:
                opened.append((row.index, self._sealer.open(row.entry, row.sealed, row.wrapped_key)))
            except (SealedEntryError, UnsealError):
                sealed += 1
        return opened, sealed

    async def _parts(self, audit: PeriodicAudit, tally: Tally, note: str) -> dict[str, Any]:
        flags = [
            {"at": f.at.isoformat(timespec="seconds"), "detector": f.flag.detector, "member": f.flag.member_id, "why": f.flag.explanation,
             "entries": len(f.flag.indexes), "disposition": f.finding or "open", "note": f.note}
            for f in await self._flags.between(audit.agency_id, audit.start, audit.end)
        ]  # fmt: skip
        changes = tally.changes
        return {
            "title": f"Audit of {audit.agency_id}, {audit.start:%Y-%m-%d} to {audit.end:%Y-%m-%d}",
            "audit_id": audit.audit_id,
            "state": audit_pb2.AuditState.Name(audit.state).removeprefix("AUDIT_STATE_").replace("_", " ").lower(),
            "made_at": self._clock.now().isoformat(timespec="seconds"),
            "checkpoint": note,
            "1 scope": await self._scope(audit, note, tally),
            "2 population": {
                "looks answered": sum(tally.members.values()), "looks refused": sum(tally.denials.values()),
                "by member": _top(tally.members), "by agency": _top(tally.agencies), "by purpose": _top(tally.purposes),
                "by kind": _top(tally.kinds), "by width of the window": _top(tally.widths), "refused by rule": _top(tally.denials),
                "without a case or event number": tally.without_case,
            },
            "3 sample": {
                "seed": audit.seed.hex(), "rate": audit.sample_rate, "population": audit.population, "drawn": list(audit.drawn),
                "flagged": list(audit.flagged),
                "drawn again by": "rank = SHA-256(seed, index as 8 bytes big endian); the lowest ranks are the sample",
                "population indexes": await self._indexes(audit),
            },
            "4 sampled looks": [_reviewed(audit, tally, index) for index in audit.sample],
            "5 flags": flags,
            "6 accounts": {
                "members seen": len(tally.last_seen),
                "last seen": {m: at.isoformat(timespec="minutes") for m, at in sorted(tally.last_seen.items())},
                "members at more than one workstation": {m: sorted(w) for m, w in sorted(tally.workloads.items()) if len(w) > 1},
                "changes": _some(changes, "member", "training", "agency"),
            },
            "7 sharing": {
                "looks by partners": _top(tally.partner), "of those, onward use attested": tally.partner_attested,
                "changes": _some(changes, "agreement", "release", "release-request", "approval"),
                "configuration changes": _some(changes, "policy", "camera"),
                "policy versions in force": _top(tally.policy_versions),
            },
            "8 hotlists": {"changes": _some(changes, "hotlist", "list", "entry", "hotlist-entry", "clearance")},
            "9 hits": _top(tally.hits),
            "10 retention": {"changes": _some(changes, "hold", "destruction", "certificate", "retention")},
            "11 destruction and classification": {
                "destruction runs": len(_some(changes, "destruction", "certificate")),
                "payloads of this log sealed by order": tally.sealed,
            },
            "12 sign-off": {
                "reviewer": audit.reviewer_id, "approver": audit.approver_id, "planned at": audit.planned_at.isoformat(timespec="seconds"),
                "drawn at": audit.drawn_at.isoformat(timespec="seconds") if audit.drawn_at else "",
                "signed off at": audit.signed_off_at.isoformat(timespec="seconds") if audit.signed_off_at else "",
                "due at": audit.due_at.isoformat(timespec="seconds"),
                "findings": dict(Counter(f["finding"] for f in audit.findings.values())),
                "corrective actions": [
                    {"entry": i, "action": f["corrective_action"], "due": f["corrective_due_at"]}
                    for i, f in sorted(audit.findings.items()) if f["corrective_action"]
                ],
            },
        }  # fmt: skip

    async def _indexes(self, audit: PeriodicAudit) -> list[int]:
        return await self._audits.population(audit.agency_id, LOOKS, audit.start, audit.end, answered=True)

    async def _scope(self, audit: PeriodicAudit, note: str, tally: Tally) -> dict[str, Any]:
        """The log at the draw and now, and that the one begins with the other: proven here, not believed."""
        now = open_checkpoint(note, self._sequencer.verifiers).checkpoint
        scope: dict[str, Any] = {
            "span": [audit.start.isoformat(), audit.end.isoformat()], "entries now": now.size, "root now": now.root.hex(),
            "verified with": f"plateward {version('plateward')}", "events whose payload is sealed": tally.sealed,
        }  # fmt: skip
        if audit.drawn_at is not None:
            found = await self._store.checkpoint_at_or_after(audit.tree_size)
            before = Checkpoint.parse(parse_note(found).text) if found else now
            proof = await consistency_proof(before.size, now.size, self._sequencer.tiles)
            verify_consistency(before.size, before.root, now.size, now.root, proof)
            scope |= {
                "entries at the draw": before.size, "root at the draw": before.root.hex(),
                "consistency": f"proven: the log of {now.size} entries begins with that of {before.size}",
            }  # fmt: skip
        return scope


def _reviewed(audit: PeriodicAudit, tally: Tally, index: int) -> dict[str, Any]:
    look, finding = tally.sampled.get(index), audit.findings.get(index, {})
    told: dict[str, Any] = {"entry": index, "why": "flagged" if index in audit.flagged else "drawn"}
    if look is None:
        told["look"] = "sealed by order"
    else:
        told |= {
            "at": look.at.isoformat(timespec="seconds"), "member": look.member_name or look.member_id, "agency": look.agency_id,
            "purpose": look.offence, "case": look.case_number, "reason": look.reason,
            "asked for": "; ".join(f"{name}={value}" for name, value in look.elements), "results": look.result_count, "rule": look.rule,
        }  # fmt: skip
    return told | {
        "finding": finding.get("finding", "open"),
        "note": finding.get("note", ""),
        "corrective action": finding.get("corrective_action", ""),
    }


def _top(counts: Counter[str]) -> dict[str, int]:
    return dict(counts.most_common(_MOST_ROWS))


def _some(changes: dict[str, list[dict[str, Any]]], *kinds: str) -> list[dict[str, Any]]:
    return sorted((told for kind in kinds for told in changes.get(kind, [])), key=lambda t: t["entry"])[
        :_MOST_ROWS
    ]
