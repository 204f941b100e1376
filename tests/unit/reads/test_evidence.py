"""Evidence packages: a bag that any BagIt tool accepts, and a verifier that finds every alteration."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import timedelta
from pathlib import Path

import bagit
import pytest
from google.protobuf import json_format

from clients.cli.evidence_verify import HEADING, verify_package
from plateward.audit.v1 import event_pb2
from plateward.common.v1 import errors_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.evidence import Evidence
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read
from tests.unit.reads.test_holds import LATER, order
from tlog.note import SignerKey, sign_note


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
    assert (bag / "bagit.txt").read_bytes() == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    listed = dict(line.split()[::-1] for line in (bag / "tagmanifest-sha256.txt").read_text().splitlines())
    assert listed == {
        name: hashlib.sha256((bag / name).read_bytes()).hexdigest()
        for name in ("bagit.txt", "bag-info.txt", "manifest-sha256.txt")
    }
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


def refusal(package: Path, key, log) -> str:
    """What a verification says is wrong."""
    verdict = verify_package(package, str(key.verifier), str(log.verifiers[0]))
    assert not verdict.ok
    return "\n".join(f"{check.what}: {check.result}" for check in verdict.checks if not check.ok)


def made_anew(bag: Path, key=None) -> None:
    """Make the manifests fit what is there now; with a key, sign them too, as only the agency itself could."""
    files = sorted(path for path in (bag / "data").rglob("*") if path.is_file())
    info = (bag / "bag-info.txt").read_text()
    oxum = f"Payload-Oxum: {sum(path.stat().st_size for path in files)}.{len(files)}"
    (bag / "bag-info.txt").write_text(
        "".join(f"{oxum if line.startswith('Payload-Oxum') else line}\n" for line in info.splitlines())
    )

    def lines(paths: list[Path]) -> str:
        return "".join(
            f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(bag).as_posix()}\n" for p in paths
        )

    (bag / "manifest-sha256.txt").write_text(lines(files))
    tags = lines([bag / name for name in ("bag-info.txt", "bagit.txt", "manifest-sha256.txt")])
    (bag / "tagmanifest-sha256.txt").write_text(tags)
    if key is not None:
        digest = hashlib.sha256(tags.encode()).hexdigest()
        (bag / "signature.note").write_text(
            sign_note(f"{HEADING}\ntagmanifest-sha256: {digest}\n", key), "utf-8"
        )
    assert bagit.Bag(str(bag)).validate()


@pytest.mark.req("R-RET-3")
async def test_each_fault_of_a_file_is_told_by_its_name(package, key, log, tmp_path: Path) -> None:
    bag = unpacked(package, tmp_path / "out")
    reads, cover = bag / "data" / "reads.json", bag / "data" / "cover.html"
    [picture] = (bag / "data" / "pictures").iterdir()
    before = reads.read_bytes()

    reads.write_bytes(before.replace(b"8ABC123", b"8ABC128"))
    assert "data/reads.json was altered after it was packed: do not use this package" in refusal(
        bag, key, log
    )
    reads.write_bytes(cover.read_bytes())
    assert "data/reads.json was exchanged for data/cover.html" in refusal(bag, key, log)
    reads.write_bytes(before)

    moved = picture.rename(tmp_path / "picture")
    assert f"data/pictures/{picture.name} is missing" in refusal(bag, key, log)
    moved.rename(picture)

    for name in ("data/pictures/one-more.jpg", "notes.txt"):
        (bag / name).write_bytes(b"x")
        assert f"{name} was added after the package was made" in refusal(bag, key, log)
        (bag / name).unlink()

    (bag / "data" / "link").symlink_to("/etc/passwd")
    assert "data/link is a link" in refusal(bag, key, log)
    (bag / "data" / "link").unlink()

    (bag / "signature.note").rename(tmp_path / "signature.note")
    assert "signature.note: " in refusal(bag, key, log)
    (tmp_path / "signature.note").rename(bag / "signature.note")

    manifest = bag / "manifest-sha256.txt"
    whole = manifest.read_text()
    for name in ("../outside", "data/../../outside", "/etc/passwd", "~/.ssh/id", "C:/x"):
        manifest.write_text(f"{whole}{'0' * 64}  {name}\n")
        assert f"{name!r} in manifest-sha256.txt leads out of the package" in refusal(bag, key, log)
    manifest.write_text(whole)
    assert verify_package(bag, str(key.verifier), str(log.verifiers[0])).ok


@pytest.mark.req("R-RET-3")
async def test_manifests_made_anew_do_not_pass_the_signature(package, log, tmp_path: Path, key) -> None:
    bag = unpacked(package, tmp_path / "out")
    (bag / "data" / "reads.json").write_text("[]")
    made_anew(bag)
    told = refusal(packed(bag, tmp_path / "altered.tar"), key, log)
    assert "tagmanifest-sha256.txt is not the one that was signed, the package was made anew" in told
    made_anew(bag, SignerKey.generate("plateward/reads"))
    assert "signature.note" in refusal(bag, key, log)


@pytest.mark.req("R-RET-3")
async def test_a_genuine_receipt_of_another_event_is_found(
    package, log, records, call, tmp_path: Path, key
) -> None:
    """Also when everything around it is signed by the agency itself: a receipt is bound to its line."""
    bag = unpacked(package, tmp_path / "out")
    receipts = bag / "data" / "receipts"
    first, second = receipts / "custody-0001.json", receipts / "custody-0002.json"
    one, two = first.read_text(), second.read_text()

    first.write_text(two)
    second.write_text(one)
    made_anew(bag, key)
    told = refusal(bag, key, log)
    assert "receipt custody-0001.json: is of another event" in told
    assert "receipt custody-0002.json: is of another event" in told

    foreign = await records.change(call, event_pb2.Change(kind="custody", target="another hold"))
    first.write_text(json_format.MessageToJson(foreign))
    second.write_text(two)
    made_anew(bag, key)
    assert f"receipt custody-0001.json: is of another event ({foreign.event_id})" in refusal(bag, key, log)

    # The ID alone is not enough: the entry that is proven must come before that of the next line.
    named = {**json_format.MessageToDict(foreign), "eventId": json.loads(one)["eventId"]}
    first.write_text(json.dumps(named))
    made_anew(bag, key)
    assert "custody-0002.json: is of entry" in refusal(bag, key, log)

    first.unlink()
    made_anew(bag, key)
    assert "receipt custody-0001.json: is missing" in refusal(bag, key, log)
    first.write_text(one)
    (receipts / "custody-0003.json").write_text(one)
    made_anew(bag, key)
    assert "receipt custody-0003.json: belongs to no line" in refusal(bag, key, log)
    (receipts / "custody-0003.json").unlink()
    made_anew(bag, key)
    assert verify_package(bag, str(key.verifier), str(log.verifiers[0])).ok


@pytest.mark.req("R-RET-3")
async def test_a_package_that_is_cut_off_is_found_wherever(package, log, key, tmp_path: Path) -> None:
    whole = package.read_bytes()
    cut = tmp_path / "evidence-cut.tar"
    # From the last two blocks of zeros on nothing is missing.
    with tarfile.open(package) as archive:
        end = archive.getmembers()[-1]
        end_at = end.offset_data + end.size
    for length in {0, 1, 511, 512, 700, end_at // 3, end_at // 2, end.offset, end.offset_data, end_at - 1}:
        cut.write_bytes(whole[:length])
        told = refusal(cut, key, log)
        assert "evidence-cut.tar" in told or "is missing" in told, length
        assert "again" in told


@pytest.mark.req("R-RET-3")
@pytest.mark.parametrize(
    ("name", "kind"),
    [("../outside.txt", tarfile.REGTYPE), ("bag/../../outside.txt", tarfile.REGTYPE), ("{tmp}/outside.txt", tarfile.REGTYPE),
     ("bag/link", tarfile.SYMTYPE), ("bag/hard", tarfile.LNKTYPE), ("bag/pipe", tarfile.FIFOTYPE)],
)  # fmt: skip
def test_a_tar_that_reaches_outside_is_refused(tmp_path: Path, key, log, name: str, kind: bytes) -> None:
    tar, name = tmp_path / "evil.tar", name.format(tmp=tmp_path)
    with tarfile.open(tar, "w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        member.size = 3 if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(b"out"))
    told = refusal(tar, key, log)
    assert repr(name) in told
    assert "nothing was unpacked" in told
    assert not (tmp_path / "outside.txt").exists()
    tar.write_bytes(b"no tar")
    assert "evil.tar is cut off or is no tar" in refusal(tar, key, log)


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
