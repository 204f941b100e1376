"""Keeping and destroying on the running platform, as people type it: hold, export, verify, canvass, destroy, certify."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from services.reads.partitions import partition_name, start_of
from tests.steel.test_kill import plateward, register
from tests.unit.reads.builders import JPEG, new_read

WHY = (
    "--offence",
    "vehicle-theft",
    "--case",
    "26-004312",
    "--reason",
    "silver Accord taken from Laguna Blvd at 03:10",
)
AREA = "38.4,-121.4,500"


async def ingest(connection: Connection, plates: list[str], camera: str) -> list[str]:
    now = datetime.now(UTC)
    news = [
        new_read(plate, at=now - timedelta(seconds=n), camera=camera, jpeg=JPEG)
        for n, plate in enumerate(plates)
    ]
    async with connection.channel("reads", "gateway") as channel:
        answer = await reads_pb2_grpc.ReadsServiceStub(channel).IngestReads(
            reads_pb2.IngestReadsRequest(reads=news)
        )
    assert answer.stored == len(plates), answer
    return [new.read.read_id for new in news]


async def age(stack: Stack, camera: str, days: int, count: int) -> list[str]:
    """Put reads into the store that retention should have destroyed long ago, as a backup would bring them back."""
    day = (datetime.now(UTC) - timedelta(days=days)).date()
    name, ids = partition_name("elk-grove-pd", day), sorted(str(uuid4()) for _ in range(count))
    async with await psycopg.AsyncConnection.connect(
        stack.database_url("reads"), autocommit=True
    ) as database:
        start, end = (start_of(day) + n * timedelta(days=1) for n in (0, 1))
        await database.execute(
            f"CREATE TABLE {name} PARTITION OF reads FOR VALUES FROM ('elk-grove-pd', '{start}') TO ('elk-grove-pd', '{end}')"
        )
        await database.execute("INSERT INTO read_partitions VALUES (%s, 'elk-grove-pd', %s)", (name, day))
        await database.execute(
            "INSERT INTO reads (agency_id, read_id, seen_at, camera_id, latitude, longitude, plate, plate_key, candidates, state, "
            "vehicle_type, colour, plate_reading, vehicle_reading, plate_crop, vehicle_crop, model_version, frames) "
            "SELECT 'elk-grove-pd', unnest(%s::uuid[]), %s, %s, 38.4, -121.4, '8OLD123', '801D123', '{}', '', 1, '', '', '', '', '', '', 1",
            (ids, start + timedelta(hours=5), camera),
        )
    return ids


@pytest.mark.req("R-RET-2")
@pytest.mark.req("R-RET-3")
@pytest.mark.req("R-RET-4")
@pytest.mark.req("R-SRC-2")
async def test_hold_export_verify_canvass_destroy(
    stack: Stack, stack_root: Path, connection: Connection, tmp_path: Path
) -> None:
    async def run(*arguments: str, code: int = 0) -> str:
        ended, output = await plateward(*arguments, "--connect", str(stack_root))
        assert ended == code, output
        return output

    await register(connection, "cam-keep")
    first, *_ = await ingest(connection, ["8ABC123", "7XYZ777", "6DEF555"], "cam-keep")

    output = await run("canvass", "scene", AREA, *WHY)
    assert re.search(r"[3-9] reads of \d+ plates at 1 cameras", output), output
    output = await run(
        "canvass", "scene", AREA, *WHY, "--step", "pictures", "--pictures", str(tmp_path / "seen")
    )
    assert "7XYZ777" in output
    assert (tmp_path / "seen" / f"{first}-plate.jpg").read_bytes() == JPEG
    output = await run("canvass", "scene", AREA, *WHY, "--member", "m-1042", code=3)
    assert "platform.role" in output

    placed = await run(
        "holds",
        "place",
        "--read",
        first,
        "--authority",
        "Superior Court, order 26CR1187",
        "--review",
        "2028-05-01",
        *WHY,
    )
    [hold] = re.findall(r"under hold ([0-9a-f-]{36})", placed)
    assert hold in await run("holds", "list")
    package = tmp_path / "evidence.tar"
    await run("evidence", "export", hold, *WHY, "--out", str(package))
    key = (await run("certificates", "key")).strip()
    await plateward("audit", "export", str(tmp_path / "log"), "--connect", str(stack_root))
    log_key = (tmp_path / "log" / "log.vkey").read_text().split()[0]
    code, output = await plateward("evidence", "verify", str(package), "--vkey", key, "--log-vkey", log_key)
    assert code == 0, output
    assert "VERIFIED" in output
    code, output = await plateward("evidence", "verify", str(package), "--vkey", key.replace("A", "B"))
    assert code == 1, output

    ids = await age(stack, "cam-keep", 45, 7)
    # The service's own round may come first: then nothing is due any more, and the certificate is there all the same.
    await run("certificates", "destroy", "--dry-run")
    await run("certificates", "destroy")
    async with connection.channel("reads", "portal") as channel:
        from servicekit.channels import bearer

        listed = await reads_pb2_grpc.ReadsServiceStub(channel).ListCertificates(
            reads_pb2.ListCertificatesRequest(), metadata=bearer(connection.token("m-3001"))
        )
    certificate = next(c for c in listed.certificates if c.destroyed == 7)
    await run("certificates", "save", certificate.certificate_id, "--folder", str(tmp_path))
    saved = tmp_path / f"certificate-{certificate.certificate_id}.json"
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    check = (
        "certificates",
        "verify",
        str(saved),
        "--vkey",
        key,
        "--log-vkey",
        log_key,
        "--ids",
        str(tmp_path / "ids.txt"),
    )
    code, output = await plateward(*check)
    assert code == 0, output
    altered = json.loads(saved.read_text())
    altered["destroyed"] = "6"
    saved.write_text(json.dumps(altered))
    code, output = await plateward(*check)
    assert code == 1, output
    assert "VERIFIED" in await run("certificates", "list", "--verify", "--vkey", key, "--log-vkey", log_key)
    reviewed = await run("holds", "review", hold, "--until", "2029-05-01", "--reason", "appeal pending")
    assert "2029-05-0" in reviewed
    await run("holds", "release", hold, "--reason", "case adjudicated")
