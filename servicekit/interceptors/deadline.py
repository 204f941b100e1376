"""No unary call goes on for ever: one without a deadline gets the method's, or the service's."""

from __future__ import annotations

import asyncio

from servicekit.interceptors.call import Call


def limited(call: Call, default_ms: int) -> asyncio.Timeout:
    """Return a context manager that ends the work of a call in time; streams end with their caller or the drain."""
    if call.method.server_streaming or call.method.client_streaming:
        return asyncio.timeout(None)
    remaining = call.rpc.time_remaining()
    own = (call.method.rule.deadline_ms or default_ms) / 1000
    return asyncio.timeout(own if remaining is None else min(own, remaining))
