"""A certificate of destruction as a page, and its verification without a network."""

from __future__ import annotations

import json
from datetime import UTC
from html import escape
from pathlib import Path

from google.protobuf import json_format

from clients.cli.audit_verdict import Verdict
from clients.cli.evidence_verify import check_receipt
from plateward.reads.v1 import reads_pb2
from tlog.hashing import leaf_hash, root_from_leaves
from tlog.note import NoteError, VerifierKey, open_note

HEADING = "plateward certificate of destruction"
_STYLE = (
    "body{font:15px/1.5 Georgia,serif;max-width:48em;margin:3em auto;padding:0 1em;color:#111}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35em .8em .35em 0;"
    "border-bottom:1px solid #ddd}pre{white-space:pre-wrap;word-break:break-all;background:#f4f4f4;padding:1em}"
)


def facts(certificate: reads_pb2.Certificate) -> dict[str, str]:
    """Return what a certificate states, in the words and the order of its signed note."""
    ranged = certificate.HasField("range")
    return {
        "certificate": certificate.certificate_id,
        "agency": certificate.agency_id,
        "kind": certificate.kind,
        "seen from": _told(certificate.range.start) if ranged else "-",
        "seen before": _told(certificate.range.end) if ranged else "-",
        "destroyed": str(certificate.destroyed),
        "held back": str(certificate.held),
        "schedule": " ".join(certificate.schedule.split()),
        "policy version": certificate.policy_version,
        "commitment": certificate.commitment.hex(),
        "destroyed at": _told(certificate.destroyed_at),
    }


def page(certificate: reads_pb2.Certificate, verifier_key: str) -> str:
    """Return a certificate as HTML that needs nothing but itself."""
    rows = "".join(
        f"<tr><th>{escape(n)}</th><td>{escape(v)}</td></tr>" for n, v in facts(certificate).items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Certificate of destruction</title><style>{_STYLE}'
        f"</style></head><body><h1>Certificate of destruction</h1><table>{rows}<tr><th>entry of the audit log</th>"
        f"<td>#{certificate.receipt.index}</td></tr></table><p>The commitment is the root of an RFC 6962 Merkle tree over the "
        "destroyed IDs: who has a list of them can check that it is this one, and nobody can read an ID from it. Held back are "
        "reads that a legal hold keeps; they left the store of reads with the rest and stay in the hold store.</p>"
        "<h2>Signed statement</h2><p>Check it with <code>plateward certificates verify</code> and this public key, which the "
        f"agency publishes:</p><pre>{escape(verifier_key)}</pre><pre>{escape(certificate.note)}</pre></body></html>\n"
    )


def verify_certificate(file: Path, vkey: str, log_vkey: str, ids: Path | None) -> Verdict:
    """Verify a certificate that was saved as JSON."""
    verdict = Verdict()
    try:
        certificate = json_format.ParseDict(
            json.loads(file.read_text(encoding="utf-8")), reads_pb2.Certificate()
        )
    except (OSError, ValueError, json_format.ParseError) as error:
        verdict.add("certificate", False, f"is none: {error}")
        return verdict
    check_certificate(certificate, vkey, log_vkey, verdict)
    if ids is not None:
        names = ids.read_text(encoding="utf-8").split()
        same = root_from_leaves(leaf_hash(name.encode()) for name in names) == certificate.commitment
        told = (
            f"{len(names)} IDs are the destroyed ones"
            if same
            else "these are not the destroyed IDs, or not in their order"
        )
        verdict.add("commitment", same and len(names) == certificate.destroyed, told)
    return verdict


def check_certificate(certificate: reads_pb2.Certificate, vkey: str, log_vkey: str, verdict: Verdict) -> None:
    """Check signature and every figure of a certificate, and its receipt where the log's key is given."""
    _signature(certificate, vkey, verdict)
    if log_vkey:
        try:
            receipt = json_format.MessageToJson(certificate.receipt)
            key = VerifierKey.parse(log_vkey.strip())
            check_receipt("of the certificate", receipt, key, verdict, of_event=certificate.certificate_id)
        except NoteError as error:
            verdict.add("receipt", False, f"--log-vkey is no key: {error}")
    else:
        verdict.notes.append("the receipt was not checked: give --log-vkey, the public key of the audit log")


def _signature(certificate: reads_pb2.Certificate, vkey: str, verdict: Verdict) -> None:
    if not vkey:
        verdict.add(
            "signature", False, "no public key to compare with: give --vkey, from the agency's policy page"
        )
        return
    try:
        key = VerifierKey.parse(vkey.strip())
        text = open_note(certificate.note, [key]).text
    except NoteError as error:
        verdict.add("signature", False, str(error))
        return
    verdict.add("signature", True, f"by {key.label}")
    expected = f"{HEADING}\n" + "".join(f"{name}: {value}\n" for name, value in facts(certificate).items())
    verdict.add(
        "every figure", text == expected, "as signed" if text == expected else "other than what was signed"
    )


def _told(stamp: object) -> str:
    return str(stamp.ToDatetime(UTC).isoformat(timespec="microseconds"))  # type: ignore[attr-defined]
