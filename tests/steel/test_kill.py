"""``kill -9`` of any service during ingest: no read lost, none doubled, receipts still verify."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from google.protobuf import json_format

from clients.cli import tamper
from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.common.v1 import types_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer

PASSES = 10


async def plateward(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "clients.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def register(connection: Connection, camera_id: str) -> None:
    camera = reads_pb2.Camera(
        camera_id=camera_id, name="test", active=True, place=types_pb2.Place(latitude=38.4, longitude=-121.4)
    )
    async with connection.channel("reads", "portal") as channel:
        await reads_pb2_grpc.ReadsServiceStub(channel).PutCamera(
            reads_pb2.PutCameraRequest(camera=camera), metadata=bearer(connection.token("m-3001"))
        )


async def stored(stack: Stack, camera_id: str) -> list[tuple[str, str]]:
    async with await psycopg.AsyncConnection.connect(stack.database_url("reads")) as database:
        rows = await database.execute(
            "SELECT read_id::text, plate FROM reads WHERE camera_id = %s ORDER BY seen_at", (camera_id,)
        )
        return [(r[0], r[1]) for r in await rows.fetchall()]


async def search(connection: Connection, plate: str) -> reads_pb2.SearchReadsResponse:
    request = reads_pb2.SearchReadsRequest(
        plate=plate,
        purpose=types_pb2.Purpose(
            offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd"
        ),
    )
    request.window.start.FromDatetime(datetime.now(UTC) - timedelta(days=1))
    request.window.end.FromDatetime(datetime.now(UTC) + timedelta(minutes=1))
    async with connection.channel("reads", "portal") as channel:
        return await reads_pb2_grpc.ReadsServiceStub(channel).SearchReads(
            request, metadata=bearer(connection.token("m-1042"))
        )


@pytest.mark.req("R-REC-4")
@pytest.mark.req("R-AUD-1")
async def test_kill_each_service_during_ingest(
    stack: Stack, stack_root: Path, connection: Connection, tmp_path: Path
) -> None:
    await register(connection, "cam-undisturbed")
    await register(connection, "cam-killed")
    common = ("gateway", "--connect", str(stack_root), "--once", "--seed", "5", "--passes", str(PASSES))
    code, output = await plateward(*common, "--camera", "cam-undisturbed")
    assert code == 0, output
    undisturbed = await stored(stack, "cam-undisturbed")
    assert len(undisturbed) == PASSES, output

    disturbed = asyncio.create_task(plateward(*common, "--camera", "cam-killed", "--fps", "12"))
    for name in ("recognizer", "reads", "hotlist", "access", "audit"):
        await asyncio.sleep(1.5)
        stack.kill(name, signal.SIGKILL)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(stack.start, name)
    code, output = await disturbed
    assert code == 0, output
    killed = await stored(stack, "cam-killed")
    assert sorted(plate for _, plate in killed) == sorted(plate for _, plate in undisturbed), output
    assert len({read_id for read_id, _ in killed}) == len(killed)

    answer = await search(connection, undisturbed[0][1])
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    (receipts / "one.json").write_text(json_format.MessageToJson(answer.receipt))
    code, output = await plateward("audit", "export", str(tmp_path / "log"), "--connect", str(stack_root))
    assert code == 0, output
    check = (
        "audit", "verify", "--export", str(tmp_path / "log"), "--receipts", str(receipts),
        "--witness", stack.witness.vkey, "--seen", str(stack.witness.state),
    )  # fmt: skip
    code, output = await plateward(*check)
    assert code == 0, output

    async with tamper.altered_row(stack.database_url("audit")) as index:
        code, output = await plateward("audit", "export", str(tmp_path / "log"), "--connect", str(stack_root))
        assert code == 0, output
        code, output = await plateward(*check)
        assert code == 1, output
        assert str(index) in output
