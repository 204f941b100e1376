"""Each call: a request ID, a log line, metrics. No plate, name or token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from servicekit.errors import PlatewardError
from servicekit.interceptors.call import Call
from servicekit.telemetry import Metrics

_LOG = structlog.get_logger("call")


@asynccontextmanager
async def observed(call: Call, metrics: Metrics) -> AsyncIterator[None]:
    """Send the request ID, count and time the call, and log how it ended."""
    structlog.contextvars.bind_contextvars(request_id=call.context.request_id)
    await call.rpc.send_initial_metadata((("x-request-id", call.context.request_id),))
    metrics.in_flight.inc()
    status = "CANCELLED"
    try:
        yield
        status = "OK"
    except PlatewardError as error:
        status = error.status.name
        raise
    finally:
        metrics.in_flight.dec()
        metrics.calls.labels(call.method.name, status).inc()
        metrics.seconds.labels(call.method.name).observe(call.took_ms / 1000)
        # A service asking a service, and cameras at work, are told of when they fail; who asked logs the call that it was for.
        tell = _LOG.debug if status == "OK" and not call.method.always_recorded else _LOG.info
        tell(
            "call",
            method=call.method.name,
            agency=call.context.caller.agency_id,
            status=status,
            took_ms=call.took_ms,
        )
