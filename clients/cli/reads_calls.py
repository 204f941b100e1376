"""Calls to `reads` by a member, and what several commands around reads share: purpose, area, tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import grpc
import typer
from rich.console import Console
from rich.table import Column, Table

from clients.cli.calls import id_column
from clients.cli.refusals import end_refused
from clients.cli.search import instant, keep_receipt, vehicle
from clients.connection import Connection
from plateward.common.v1 import types_pb2
from plateward.common.v1.receipt_pb2 import Receipt
from plateward.reads.v1 import read_pb2, reads_pb2_grpc
from servicekit.channels import bearer

Connect = Annotated[Path, typer.Option("--connect", help="Connection folder, which holds stack.json.")]
Offence = Annotated[str, typer.Option(help="Offence of the published policy. Example: vehicle-theft.")]
Reason = Annotated[str, typer.Option(help="What this is for, in a sentence.")]
Case = Annotated[str, typer.Option(help="Case number. Example: 26-004312.")]
HERE = Path(".plateward")
SUPERVISOR, ADMINISTRATOR = "m-1077", "m-3001"
_TIMEOUT_S = 60.0
_T = TypeVar("_T")


def ask(connect: Path, member: str, call: Callable[[Any, dict[str, Any]], Awaitable[_T]]) -> _T:
    """Return what a call of a member gives; end the program with the rule when it is refused."""
    connection = Connection.load(connect)

    async def asked() -> _T:
        async with connection.channel("reads", "portal") as channel:
            options = {"metadata": bearer(connection.token(member)), "timeout": _TIMEOUT_S}
            return await call(reads_pb2_grpc.ReadsServiceStub(channel), options)

    try:
        return asyncio.run(asked())
    except grpc.aio.AioRpcError as error:
        end_refused(error)


async def gathered(parts: AsyncIterator[_T], seen: Callable[[_T], None]) -> None:
    """Give each part of a stream to ``seen`` as it comes."""
    async for part in parts:
        seen(part)


def purpose(offence: str, reason: str, case: str) -> types_pb2.Purpose:
    """Return a purpose as typed."""
    return types_pb2.Purpose(offence=offence, reason=reason, case_number=case)


def window(since: str, until: str) -> types_pb2.TimeWindow:
    """Return the window of ``--since`` and ``--until``, up to now where the latter is empty."""
    now, made = datetime.now(UTC), types_pb2.TimeWindow()
    made.start.FromDatetime(instant(since, now))
    made.end.FromDatetime(instant(until, now) if until else now + timedelta(minutes=1))
    return made


def reads_table(reads: Iterable[read_pb2.Read], title: str = "") -> Table:
    """Return reads as a table."""
    table = Table(
        "seen", Column("plate", no_wrap=True), "sure", "state", "vehicle", "camera", id_column("read"),
        title=title or None, title_justify="left", highlight=False,
    )  # fmt: skip
    for read in reads:
        seen = read.seen_at.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            seen, f"[bold]{read.plate.text or 'unreadable'}[/]", f"{read.plate.confidence:.0%}", read.plate.state or "unknown",
            vehicle(read), read.camera_id, read.read_id,
        )  # fmt: skip
    return table


def recorded(connect: Path, receipt: Receipt) -> None:
    """Say where a call stands in the audit log, and keep its receipt."""
    kept = keep_receipt(Connection.load(connect).receipts_dir, receipt)
    Console(highlight=False).print(
        f"Recorded as entry [bold]#{receipt.index}[/] of the audit log; receipt kept in {kept}"
    )
