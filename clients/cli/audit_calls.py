"""How the audit commands call the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import grpc
import typer

from clients.cli.refusals import end_refused
from clients.connection import Connection
from plateward.audit.v1 import audit_pb2_grpc
from servicekit.channels import bearer

Connect = Annotated[Path, typer.Option("--connect", help="Connection folder, which holds stack.json.")]
Auditor = Annotated[str, typer.Option("--as", help="Member who asks; needs the auditor's role.")]
Designee = Annotated[str, typer.Option("--as", help="Member who asks; needs the designee's role.")]
DEFAULT = Path(".plateward")
AUDITOR, DESIGNEE = "m-2001", "m-4001"
_TIMEOUT_S = 120.0
_A = TypeVar("_A")
Call = Callable[["audit_pb2_grpc.AuditServiceAsyncStub", tuple[tuple[str, str], ...]], Awaitable[_A]]


def ask(connect: Path, member: str, call: Call[_A], timeout_s: float = _TIMEOUT_S) -> _A:
    """Make one call as a member; end with the refusal's sentence when it is refused."""
    connection = Connection.load(connect)

    async def asked() -> _A:
        async with connection.channel("audit", "portal") as channel:
            return await asyncio.wait_for(
                call(audit_pb2_grpc.AuditServiceStub(channel), bearer(connection.token(member))), timeout_s
            )

    try:
        return asyncio.run(asked())
    except grpc.aio.AioRpcError as error:
        end_refused(error)
