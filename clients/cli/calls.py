"""Calls to `access` by a member, and how their answers end: the change, and where it is on record."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Column

from clients.cli.refusals import end_refused
from clients.cli.search import keep_receipt
from clients.connection import Connection
from plateward.access.v1 import access_pb2_grpc
from plateward.common.v1.receipt_pb2 import Receipt
from servicekit.channels import bearer

Connect = Annotated[Path, typer.Option("--connect", help="Connection folder, which holds stack.json.")]
Identity = Annotated[
    str, typer.Option("--identity", help="Client certificate of the connection folder. Example: galt-pd.")
]
HERE = Path(".plateward")
_TIMEOUT_S = 15.0


def ask(connect: Path, member: str, method: str, request: Message, identity: str = "portal") -> Any:
    """Return the answer of a method of `access`; end the program with the rule when it is refused."""
    connection = Connection.load(connect)

    async def asked() -> Any:
        async with connection.channel("access", identity) as channel:
            call = getattr(access_pb2_grpc.AccessServiceStub(channel), method)
            return await call(request, metadata=bearer(connection.token(member)), timeout=_TIMEOUT_S)

    try:
        return asyncio.run(asked())
    except grpc.aio.AioRpcError as error:
        end_refused(error)


def recorded(connect: Path, receipt: Receipt) -> None:
    """Say where a change stands in the audit log, and keep its receipt."""
    kept = keep_receipt(Connection.load(connect).receipts_dir, receipt)
    Console(highlight=False).print(
        f"Recorded as entry [bold]#{receipt.index}[/] of the audit log; receipt kept in {kept}"
    )


def id_column(title: str) -> Column:
    """Return a column whose IDs are never cut: they are there to be copied."""
    return Column(title, no_wrap=True, min_width=36)


def word(enum: Any, value: int, prefix: str) -> str:
    """Return an enum's value in a word. Example: ``active``."""
    return str(enum.Name(value)).removeprefix(prefix).lower().replace("_", " ")


def day(stamp: Timestamp) -> str:
    """Return the local day of a time, or a dash where there is none. Example: ``2026-11-23``."""
    return stamp.ToDatetime(UTC).astimezone().date().isoformat() if stamp.seconds else "-"


def moment(stamp: Timestamp) -> str:
    """Return a time in local hours and minutes, or a dash where there is none."""
    return stamp.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M") if stamp.seconds else "-"


def end_of(text: str) -> datetime:
    """Return the end of a day that was typed, local time.

    Raises:
        typer.BadParameter: it is no day.
    """
    try:
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59)).astimezone()
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no day: write 2027-11-30") from error
