"""Offline verification of an evidence package: manifests, signature, chain of custody, pictures, receipts."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bagit
from google.protobuf import json_format

from clients.cli.audit_verdict import Verdict
from plateward.common.v1 import receipt_pb2
from tlog.note import NoteError, VerifierKey, open_note
from tlog.receipt import Receipt, ReceiptError

HEADING = "plateward evidence package"


class PackageError(Exception):
    """A package cannot even be opened; the message says why."""


def verify_package(package: Path, vkey: str, log_vkey: str) -> Verdict:
    """Verify a package (tar, or a folder that it was unpacked to) against the agency's public key.

    Without ``vkey`` nothing says who signed, and that counts as a fault; without ``log_vkey`` receipts are not checked, and
    that is said.
    """
    verdict = Verdict()
    try:
        with opened(package) as bag:
            _bag(bag, verdict)
            _signature(bag, vkey, verdict)
            _custody(bag, verdict)
            _pictures(bag, verdict)
            _receipts(bag, log_vkey, verdict)
    except (PackageError, OSError, ValueError, KeyError, TypeError) as error:
        verdict.add("package", False, f"cannot be read: {error}")
    return verdict


@contextmanager
def opened(package: Path) -> Iterator[Path]:
    """Give the folder of the bag; a tar is unpacked aside, and nothing in it can reach outside.

    Raises:
        PackageError: it is no package.
    """
    if package.is_dir():
        yield package
        return
    with TemporaryDirectory(prefix="plateward-verify-") as folder:
        try:
            with tarfile.open(package) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise PackageError(f"{package.name} is no tar that can be unpacked: {error}") from error
        inside = [path for path in Path(folder).iterdir() if path.is_dir()]
        if len(inside) != 1:
            raise PackageError(f"{package.name} holds {len(inside)} folders, and a package has one")
        yield inside[0]


def _bag(bag: Path, verdict: Verdict) -> None:
    try:
        bagit.Bag(str(bag)).validate()
    except bagit.BagError as error:
        verdict.add("BagIt manifests (SHA-256)", False, " ".join(str(error).split()))
    else:
        files = sum(1 for path in (bag / "data").rglob("*") if path.is_file())
        verdict.add("BagIt manifests (SHA-256)", True, f"{files} files are as they were packed")


def _signature(bag: Path, vkey: str, verdict: Verdict) -> None:
    what = "signature over the manifests"
    if not vkey:
        verdict.add(what, False, "no public key to compare with: give --vkey, from the agency's policy page")
        return
    try:
        key = VerifierKey.parse(vkey.strip())
        text = open_note((bag / "signature.note").read_text(encoding="utf-8"), [key]).text
    except (NoteError, OSError, UnicodeDecodeError) as error:
        verdict.add(what, False, str(error))
        return
    heading, *lines = text.splitlines()
    facts = dict(line.split(": ", 1) for line in lines if ": " in line)
    digest = hashlib.sha256((bag / "tagmanifest-sha256.txt").read_bytes()).hexdigest()
    if heading != HEADING or facts.get("tagmanifest-sha256") != digest:
        verdict.add(what, False, "signed for other manifests than these: the package was made anew")
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
            verdict.add("chain of custody", False, f"line {number} does not follow from the one before")
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
        else f"{wrong[0]} is not what was packed"
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
    files = sorted((bag / "data" / "receipts").glob("*.json"))
    if len(files) != len(_json(bag / "data" / "custody.json")):
        verdict.add("receipts", False, "there is not one for each line of custody")
    for file in files:
        check_receipt(file.name, file.read_text(encoding="utf-8"), key, verdict)


def check_receipt(name: str, text: str, key: VerifierKey, verdict: Verdict) -> None:
    """Check a receipt (JSON as the API gives it) against a log's key."""
    try:
        message = json_format.Parse(text, receipt_pb2.Receipt())
        receipt = Receipt(
            entry_id=message.event_id, index=message.index, leaf_hash=message.leaf_hash, checkpoint_note=message.checkpoint,
            inclusion=tuple(message.inclusion_proof),
        )  # fmt: skip
        receipt.verify([key])
    except (ReceiptError, json_format.ParseError) as error:
        verdict.add(f"receipt {name}", False, str(error))
    else:
        verdict.add(f"receipt {name}", True, f"entry {message.index} is in the audit log")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
