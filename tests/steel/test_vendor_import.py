"""Another vendor's export on the running platform: over the API and on the command line, bounded, refused where it must be, on record."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import pytest

from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc
from plateward.common.v1 import errors_pb2
from servicekit.channels import bearer
from servicekit.errors import parse_rpc_error

pytestmark = pytest.mark.req("R-AUD-3")
AUDITOR, OFFICER = "m-2001", "m-1042"
HEADER = "Search Time,Name,License Plate,Reason,Case #\n"
Part = audit_pb2.ImportVendorAuditRequest


def milwaukee() -> bytes:
    start = datetime(2026, 3, 1, 9)
    rows = [
        f"{start + timedelta(hours=4 * n):%m/%d/%Y %I:%M %p},B. Stone,{'8HER123' if n % 5 < 3 else '7EXX987'},investigation,\n"
        for n in range(179)
    ]
    return (HEADER + "".join(reversed(rows)) + "not a time,B. Stone,8HER123,x,\n").encode()


async def sent(connection: Connection, member: str, parts: list[Part]) -> audit_pb2.ImportVendorAuditResponse:
    async def requests() -> AsyncIterator[Part]:
        for part in parts:
            yield part

    async with connection.channel("audit", "portal") as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        return await stub.ImportVendorAudit(requests(), metadata=bearer(connection.token(member)))


def parts(data: bytes, step: int = 500, **first: object) -> Iterator[Part]:
    yield Part(**({"format": "flock-network-audit"} | first))  # type: ignore[arg-type]
    for start in range(0, len(data), step):
        yield Part(chunk=data[start : start + step])


async def test_an_export_over_the_api_gives_flags_a_report_and_a_record(
    stack: Stack, connection: Connection
) -> None:
    wanted = parts(milwaukee(), time_zone="America/Chicago", report_format=audit_pb2.REPORT_FORMAT_JSON)
    answer = await sent(connection, AUDITOR, list(wanted))
    assert (answer.rows, answer.malformed_rows) == (180, 1)
    assert list(answer.malformed) == ["line 181: the time 'not a time' has no known form"]
    assert {(f.detector, len(f.indexes)) for f in answer.flags if f.detector == "repeat-target"} == {
        ("repeat-target", 108),
        ("repeat-target", 71),
    }
    told = json.loads(answer.report)
    assert told["first"] == "2026-03-01T15:00:00+00:00"
    assert answer.receipt.index > 0


@pytest.mark.parametrize(
    ("first", "data", "told"),
    [
        ({"format": "motorola"}, b"", "flock-network-audit"),
        ({"time_zone": "Mars/Base"}, b"", "America/Los_Angeles"),
        ({}, b"", "empty"),
        ({}, b"%PDF-1.7\n1 0 obj\n", "Search Time"),
        ({}, b"\x00\xff" * 50_000, "no CSV"),
    ],
)
async def test_what_cannot_be_imported_says_what_to_do(
    stack: Stack, connection: Connection, first: dict[str, str], data: bytes, told: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sent(connection, AUDITOR, list(parts(data, 4096, **first)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told in (caught.value.details() or "")


async def test_an_officer_may_not_and_a_false_page_is_refused(stack: Stack, connection: Connection) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sent(connection, OFFICER, list(parts(milwaukee())))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    request = audit_pb2.ListFlagsRequest()
    request.page.token = "1' OR '1'='1"
    async with connection.channel("audit", "portal") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await audit_pb2_grpc.AuditServiceStub(channel).ListFlags(
                request, metadata=bearer(connection.token(AUDITOR))
            )
    fault = parse_rpc_error(caught.value)
    assert fault is not None
    assert fault.reason == errors_pb2.ERROR_REASON_CURSOR_INVALID


async def test_the_command_over_the_api_and_flags_that_are_not_there(
    stack: Stack, connection: Connection, tmp_path: Path
) -> None:
    export, out = tmp_path / "audit.csv", tmp_path / "report.html"
    export.write_bytes(milwaukee())

    async def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "clients.cli", "audit", *words, "--connect", str(connection.root)]
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)

    done = await run("import-vendor", str(export), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "180 rows read, 1 of them could not be read" in done.stdout
    assert "of the log" in done.stdout
    assert "108 times" in out.read_text(encoding="utf-8")
    missing = await run("flags", "show", "ffffffff")
    assert missing.returncode == 1
    assert "audit flags list" in missing.stderr
