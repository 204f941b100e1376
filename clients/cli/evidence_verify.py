"""Offline verification of an evidence package: manifests, signature, chain of custody, pictures, receipts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from clients.cli.audit_verdict import Verdict
from clients.cli.evidence_bag import AGAIN, SIGNATURE, TAG_MANIFEST, PackageError, check_bag, opened
from plateward.common.v1 import receipt_pb2
from tlog.note import NoteError, VerifierKey, open_note
from tlog.receipt import Receipt, ReceiptError

HEADING = "plateward evidence package"


def verify_package(package: Path, vkey: str, log_vkey: str) -> Verdict:
    """Verify a package (tar, or a folder that it was unpacked to) against the agency's public key.

    Without ``vkey`` nothing says who signed, and that counts as a fault; without ``log_vkey`` receipts are not checked, and
    that is said.
    """
    verdict = Verdict()
    try:
        with opened(package) as bag:
            check_bag(bag, verdict)
            _signature(bag, vkey, verdict)
            _custody(bag, verdict)
            _pictures(bag, verdict)
            _receipts(bag, log_vkey, verdict)
    except (PackageError, OSError, ValueError, KeyError, TypeError) as error:
        told = str(error) if isinstance(error, PackageError) else f"cannot be read ({error!r}): {AGAIN}"
        verdict.add("package", False, told)
    return verdict


def _signature(bag: Path, vkey: str, verdict: Verdict) -> None:
    what = "signature over the manifests"
    if not vkey:
        verdict.add(what, False, "no public key to compare with: give --vkey, from the agency's policy page")
        return
    try:
        key = VerifierKey.parse(vkey.strip())
        text = open_note((bag / SIGNATURE).read_text(encoding="utf-8"), [key]).text
    except (NoteError, OSError, UnicodeDecodeError) as error:
        verdict.add(
            what, False, f"{SIGNATURE}: {error}: compare --vkey with the agency's policy page, or {AGAIN}"
        )
        return
    heading, *lines = text.splitlines()
    facts = dict(line.split(": ", 1) for line in lines if ": " in line)
    digest = hashlib.sha256((bag / TAG_MANIFEST).read_bytes()).hexdigest()
    if heading != HEADING or facts.get("tagmanifest-sha256") != digest:
        verdict.add(
            what, False, f"{TAG_MANIFEST} is not the one that was signed, the package was made anew: {AGAIN}"
        )
    else:
        verdict.add(
            what,
            True,
            f"by {key.label}: case {facts.get('case')}, {facts.get('reads')} reads, {facts.get('made at')}",
        )


def _custody(bag: Path, verdict: Verdict) -> None:
    chain = _json(bag / "data" / "custody.json")
    previous, told = "", []
    for number, line in enumerate(chain, 1):
        entry = json.loads(line["entry"])
        digest = hashlib.sha256(line["entry"].encode()).hexdigest()
        if entry["line"] != number or entry["previous"] != previous or digest != line["sha256"]:
            verdict.add(
                "chain of custody",
                False,
                f"custody.json: line {number} does not follow from the one before: {AGAIN}",
            )
            return
        previous = digest
        told.append(f"{entry['what']} by {entry['name'] or entry['member']}")
    verdict.add("chain of custody", bool(chain), "; ".join(told) or "it is empty")


def _pictures(bag: Path, verdict: Verdict) -> None:
    named: dict[str, str] = _json(bag / "data" / "pictures.json")
    reads = {read["readId"] for read in _json(bag / "data" / "reads.json")}
    wrong = [
        name
        for name, digest in named.items()
        if hashlib.sha256((bag / "data" / "pictures" / Path(name).name).read_bytes()).hexdigest() != digest
        or name[:36] not in reads
    ]
    told = (
        f"{len(named)} pictures belong to {len(reads)} reads"
        if not wrong
        else f"pictures/{wrong[0]} is not what was packed: {AGAIN}"
    )
    verdict.add("reads and pictures", not wrong, told)


def _receipts(bag: Path, log_vkey: str, verdict: Verdict) -> None:
    if not log_vkey:
        verdict.notes.append(
            "the receipts were not checked: give --log-vkey, the public key of the audit log"
        )
        return
    try:
        key = VerifierKey.parse(log_vkey.strip())
    except NoteError as error:
        verdict.add("receipts", False, f"--log-vkey is no key: {error}")
        return
    last = -1
    names = {file.name for file in (bag / "data" / "receipts").iterdir()}
    for line in _json(bag / "data" / "custody.json"):
        entry = json.loads(line["entry"])
        name = f"custody-{entry['line']:04}.json"
        if name not in names:
            verdict.add(
                f"receipt {name}", False, f"is missing, line {entry['line']} of custody has none: {AGAIN}"
            )
            continue
        names.discard(name)
        text = (bag / "data" / "receipts" / name).read_text(encoding="utf-8")
        last = check_receipt(name, text, key, verdict, of_event=str(entry.get("event", "")), after=last)
    for name in sorted(names):
        verdict.add(f"receipt {name}", False, f"belongs to no line of custody: {AGAIN}")


def check_receipt(
    name: str, text: str, key: VerifierKey, verdict: Verdict, *, of_event: str, after: int = -1
) -> int:
    """Check a receipt (JSON as the API gives it): a log's key, the event that it must be of, an index past ``after``.

    Return its index, or ``after`` where it does not hold.
    """
    what = f"receipt {name}"
    try:
        message = json_format.Parse(text, receipt_pb2.Receipt())
        receipt = Receipt(
            entry_id=message.event_id, index=message.index, leaf_hash=message.leaf_hash, checkpoint_note=message.checkpoint,
            inclusion=tuple(message.inclusion_proof),
        )  # fmt: skip
        receipt.verify([key])
    except (ReceiptError, json_format.ParseError) as error:
        verdict.add(what, False, f"{error}: compare --log-vkey with the log's page, or {AGAIN}")
        return after
    if not of_event or message.event_id != of_event:
        verdict.add(
            what, False, f"is of another event ({message.event_id}) than {of_event or 'none'}: {AGAIN}"
        )
        return after
    if message.index <= after:
        verdict.add(what, False, f"is of entry {message.index}, which is not after the line before: {AGAIN}")
        return after
    verdict.add(what, True, f"entry {message.index} is in the audit log, of event {message.event_id}")
    return int(message.index)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
