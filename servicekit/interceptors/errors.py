"""Faults become typed errors; what is not typed becomes INTERNAL with the request ID, and its trace stays in the log."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import psycopg
import structlog
from grpc_status import rpc_status

from plateward.common.v1 import errors_pb2
from servicekit.database import UNAVAILABLE
from servicekit.errors import PlatewardError, to_status
from servicekit.interceptors.call import Call

_LOG = structlog.get_logger(__name__)


def typed(fault: Exception, call: Call) -> PlatewardError:
    """Return the typed error that stands for a fault."""
    if isinstance(fault, PlatewardError):
        return fault
    if isinstance(fault, UNAVAILABLE):
        _LOG.warning("storage_unavailable", error=type(fault).__name__)
        return PlatewardError(
            errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
            "the database does not answer; nothing was changed by this call as far as it is not answered: try again shortly",
            retry_after=1.0,
        )
    if isinstance(fault, psycopg.DataError):
        _LOG.warning("value_refused_by_database", error=type(fault).__name__)
        return PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT, "correct the request: a value cannot be stored"
        )
    if isinstance(fault, asyncio.TimeoutError | TimeoutError):
        return PlatewardError(
            errors_pb2.ERROR_REASON_DEADLINE_EXCEEDED, "the deadline passed: ask for less, or allow more time"
        )
    _LOG.error("internal_error", method=call.method.name, exc_info=fault)
    return PlatewardError(
        errors_pb2.ERROR_REASON_INTERNAL,
        f"a fault inside the service: give the operator request ID {call.context.request_id}",
    )


async def abort(call: Call, error: PlatewardError) -> NoReturn:
    """End the call with an error's status and details."""
    await call.rpc.abort_with_status(rpc_status.to_status(to_status(error, call.context.request_id)))
    raise AssertionError("abort_with_status returned")
