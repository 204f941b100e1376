"""Evidence packages: what a hold keeps, fit to be booked on portable media (R-RET-3).

A package is a tar of a BagIt 1.0 bag (RFC 8493) with SHA-256 manifests. Its payload is a readable cover sheet, the hold, the reads
as JSON, their pictures, the chain of custody and the audit log's receipt of each of its lines. ``signature.note`` beside the
manifests is a C2SP signed note over the tag manifest, which covers everything else.

Rules
-----
1. Only reads under a hold in force are exported: there is no other way to take reads out in bulk (R-SHR-5).
2. The line of custody that says who exported is in the package; the export is on record before its first byte leaves.
3. The package is made whole before it is sent, in a folder that is removed afterwards.
4. Times are UTC with their offset; nothing depends on the machine that makes the package.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.protobuf import json_format

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, receipt_pb2, types_pb2
from plateward.reads.v1 import read_pb2, reads_pb2
from servicekit.clock import Clock
from servicekit.context import CallContext
from services.reads.bagging import make_bag
from services.reads.cover import cover_sheet
from services.reads.crops import Crops
from services.reads.holds import Holds, Kept
from services.reads.records import Records
from services.reads.rows import read_of
from tlog.note import SignerKey, sign_note

HEADING = "plateward evidence package"
SIGNATURE = "signature.note"
_CHUNK = 1 << 18
_KINDS = {types_pb2.CROP_KIND_PLATE: "plate", types_pb2.CROP_KIND_VEHICLE: "vehicle"}


class Evidence:
    """Makes packages and streams them."""

    def __init__(self, holds: Holds, crops: Crops, records: Records, clock: Clock, key: SignerKey) -> None:
        self._holds = holds
        self._crops = crops
        self._records = records
        self._clock = clock
        self._key = key

    async def export(
        self, request: reads_pb2.ExportEvidenceRequest, call: CallContext
    ) -> AsyncIterator[reads_pb2.ExportEvidenceResponse]:
        """Yield the parts of a package; the last one carries the receipt of its record.

        Raises:
            PlatewardError: NOT_FOUND: no such hold in force; STORAGE_UNAVAILABLE, AUDIT_UNAVAILABLE.
        """
        own = call.subject.agency_id
        kept = await self._holds.kept(own, request.hold_id, call, "evidence exported")
        reads = [read_of(row) for row in kept.rows]
        call.returned(read.read_id for read in reads)
        with TemporaryDirectory(prefix="plateward-evidence-") as folder:
            bag = Path(folder) / f"evidence-{request.hold_id}"
            bag.mkdir()
            await self._fill(bag, kept, reads, own)
            digest = await asyncio.to_thread(self._close, bag, kept, own, len(reads))
            change = event_pb2.Change(
                kind="evidence-package", target=request.hold_id, after_digest=digest,
                summary=f"package of {len(reads)} reads; SHA-256 of its tag manifest is {digest.hex()}",
            )  # fmt: skip
            receipt = await self._records.change(call, change, action_pb2.ACTION_EXPORT)
            tar = bag.with_suffix(".tar")
            await asyncio.to_thread(_pack, bag, tar)
            with tar.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK):
                    yield reads_pb2.ExportEvidenceResponse(chunk=chunk)
        yield reads_pb2.ExportEvidenceResponse(receipt=receipt)

    async def _fill(self, bag: Path, kept: Kept, reads: list[read_pb2.Read], agency_id: str) -> None:
        pictures = bag / "pictures"
        pictures.mkdir()
        named: dict[str, str] = {}
        for read in reads:
            for crop in read.crops:
                jpeg = await self._crops.get(crop.key)
                if jpeg is not None:
                    name = f"{read.read_id}-{_KINDS.get(crop.kind, 'other')}.jpg"
                    (pictures / name).write_bytes(jpeg)
                    named[name] = hashlib.sha256(jpeg).hexdigest()
            # Where the service keeps it is no matter of the case.
            read.ClearField("crops")
        receipts = bag / "receipts"
        receipts.mkdir()
        chain = []
        for line in kept.chain:
            chain.append({"entry": bytes(line["entry"]).decode(), "sha256": bytes(line["digest"]).hex()})
            receipt = receipt_pb2.Receipt.FromString(bytes(line["receipt"]))
            (receipts / f"custody-{line['line']:04}.json").write_text(
                json_format.MessageToJson(receipt), "utf-8"
            )
        _write(bag / "hold.json", {"agency": agency_id, **json_format.MessageToDict(kept.hold)})
        _write(bag / "reads.json", [json_format.MessageToDict(read) for read in reads])
        _write(bag / "custody.json", chain)
        _write(bag / "pictures.json", named)
        lines = [json.loads(entry["entry"]) for entry in chain]
        sheet = cover_sheet(
            agency_id, kept.hold, reads, lines, named, str(self._key.verifier), self._clock.now()
        )
        (bag / "cover.html").write_text(sheet, "utf-8")

    def _close(self, bag: Path, kept: Kept, agency_id: str, count: int) -> bytes:
        """Make the bag around the payload and sign it; return the SHA-256 of the tag manifest."""
        info = {
            "Source-Organization": agency_id, "External-Identifier": kept.hold.hold_id,
            "Internal-Sender-Identifier": kept.hold.case_number, "External-Description": f"{count} reads under a legal hold",
            "Bagging-Date": f"{self._clock.now():%Y-%m-%d}", "Contact-Name": kept.hold.authority,
        }  # fmt: skip
        digest = make_bag(bag, {name: _line(text) for name, text in info.items()})
        facts = {
            "hold": kept.hold.hold_id, "case": kept.hold.case_number, "agency": agency_id, "reads": count,
            "made at": self._clock.now().isoformat(), "tagmanifest-sha256": digest.hex(),
        }  # fmt: skip
        text = f"{HEADING}\n" + "".join(f"{name}: {_line(value)}\n" for name, value in facts.items())
        (bag / SIGNATURE).write_text(sign_note(text, self._key), "utf-8")
        return digest


def _line(value: object) -> str:
    """Return a text as one line: what was typed must not become a line of its own in what is signed."""
    return " ".join(str(value).split())


def _pack(bag: Path, tar: Path) -> None:
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(bag.rglob("*")):
            if path.is_file():
                member = archive.gettarinfo(path, f"{bag.name}/{path.relative_to(bag).as_posix()}")
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                member.mode = 0o644
                with path.open("rb") as file:
                    archive.addfile(member, file)


def _write(path: Path, value: list[Any] | Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True), "utf-8")
