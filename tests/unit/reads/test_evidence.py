"""Evidence packages: a bag that any BagIt tool accepts, and a verifier that finds every alteration."""

from __future__ import annotations

import io
import tarfile
from datetime import timedelta
from pathlib import Path

import bagit
import pytest

from clients.cli.evidence_verify import verify_package
from plateward.common.v1 import errors_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.evidence import Evidence
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read
from tests.unit.reads.test_holds import LATER, order


@pytest.fixture
def evidence(holds, crops, records, clock, key) -> Evidence:
    return Evidence(holds, crops, records, clock, key)


@pytest.fixture
async def package(evidence, holds, ingest, call, clock, purger, retention, tmp_path: Path, log) -> Path:
    """A package of two reads, made long after retention destroyed everything else."""
    news = [new_read("8ABC123", at=NOW, jpeg=JPEG), new_read("<b>", at=NOW, readable=False)]
    await ingest.store(AGENCY, [accepted(new, NOW) for new in news])
    hold = await holds.place(order(*(new.read.read_id for new in news)), call)
    clock.time = LATER
    await purger.run(await retention.schedules(AGENCY))
    tar = tmp_path / "evidence.tar"
    parts = [
        part async for part in evidence.export(reads_pb2.ExportEvidenceRequest(hold_id=hold.hold_id), call)
    ]
    tar.write_bytes(b"".join(part.chunk for part in parts))
    assert parts[-1].receipt.index
    assert call.result_count == 2
    return tar


def unpacked(package: Path, folder: Path) -> Path:
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    [bag] = folder.iterdir()
    return bag


def packed(bag: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(bag, bag.name)
    return target


@pytest.mark.req("R-RET-3")
async def test_a_package_is_a_bag_with_all_that_belongs_to_it(package, key, log, tmp_path: Path) -> None:
    bag = unpacked(package, tmp_path / "out")
    assert bagit.Bag(str(bag)).validate()
    names = {
        path.relative_to(bag / "data").as_posix() for path in (bag / "data").rglob("*") if path.is_file()
    }
    assert {"cover.html", "hold.json", "reads.json", "custody.json", "pictures.json"} <= names
    assert len([name for name in names if name.startswith("pictures/")]) == 1
    assert len([name for name in names if name.startswith("receipts/")]) == 2
    cover = (bag / "data" / "cover.html").read_text()
    for told in (
        "26-004312",
        "order 26CR1187",
        "8ABC123",
        "Sgt. Lee Park",
        "evidence exported",
        str(key.verifier),
    ):
        assert told in cover
    verdict = verify_package(package, str(key.verifier), str(log.verifiers[0]))
    assert verdict.ok, verdict
    assert any("receipt" in check.what for check in verdict.checks)


@pytest.mark.req("R-RET-3")
@pytest.mark.parametrize(
    "name",
    ["data/reads.json", "data/custody.json", "data/cover.html", "bag-info.txt", "manifest-sha256.txt", "signature.note",
     "data/receipts/custody-0001.json", "data/pictures"],
)  # fmt: skip
async def test_every_alteration_is_found(package, key, log, tmp_path: Path, name: str) -> None:
    bag = unpacked(package, tmp_path / "out")
    target = bag / name
    if target.is_dir():
        [target] = target.iterdir()
    target.write_bytes(target.read_bytes()[:-2] + b"!\n")
    verdict = verify_package(packed(bag, tmp_path / "altered.tar"), str(key.verifier), str(log.verifiers[0]))
    assert not verdict.ok


@pytest.mark.req("R-RET-3")
async def test_a_bag_made_anew_by_someone_else_is_found(package, log, tmp_path: Path, key) -> None:
    bag = unpacked(package, tmp_path / "out")
    (bag / "data" / "reads.json").write_text("[]")
    made = bagit.Bag(str(bag))
    made.save(manifests=True)
    verdict = verify_package(packed(bag, tmp_path / "altered.tar"), str(key.verifier), str(log.verifiers[0]))
    assert not verdict.ok
    assert any(not check.ok and "signature" in check.what for check in verdict.checks)


async def test_a_tar_that_reaches_outside_is_refused(tmp_path: Path, key) -> None:
    tar = tmp_path / "evil.tar"
    with tarfile.open(tar, "w") as archive:
        member = tarfile.TarInfo("../outside.txt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"out"))
    assert not verify_package(tar, str(key.verifier), "").ok
    assert not (tmp_path / "outside.txt").exists()
    tar.write_bytes(b"no tar")
    assert not verify_package(tar, str(key.verifier), "").ok


@pytest.mark.req("R-SHR-5")
async def test_only_what_a_hold_in_force_keeps_is_exported(evidence, holds, ingest, call) -> None:
    news = [new_read(at=NOW) for _ in range(3)]
    await ingest.store(AGENCY, [accepted(new, NOW) for new in news])
    hold = await holds.place(order(news[0].read.read_id), call)

    async def export(hold_id: str) -> int:
        async for _ in evidence.export(reads_pb2.ExportEvidenceRequest(hold_id=hold_id), call):
            pass
        return call.result_count

    assert await export(hold.hold_id) == 1
    await holds.release(hold.hold_id, "placed in error", call)
    for hold_id in (hold.hold_id, "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa"):
        with pytest.raises(PlatewardError) as refused:
            await export(hold_id)
        assert refused.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND
    assert timedelta(0) < LATER - NOW


@pytest.mark.req("R-SHR-5")
def test_no_other_answer_carries_reads_without_a_bound() -> None:
    """Whoever adds a way to take reads out in bulk has to come past here."""
    of_reads = {
        method.name
        for method in reads_pb2.DESCRIPTOR.services_by_name["ReadsService"].methods
        if any(
            field.message_type is not None
            and field.message_type.name in {"Read", "RankedRead", "ScenePlate", "Picture"}
            for field in method.output_type.fields
        )
        or any(field.name == "chunk" for field in method.output_type.fields)
    }
    # Followed by services only; the others are bounded by max_rows, or by a hold.
    assert of_reads == {
        "FollowReads",
        "SearchReads",
        "Canvass",
        "CompareScenes",
        "FindCompanions",
        "ExportEvidence",
    }
