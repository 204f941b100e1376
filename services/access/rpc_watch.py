"""The method that tells what no longer holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from plateward.access.v1 import access_pb2
from services.access.watch import Revocations


class WatchMethods:
    """Revocations as they happen."""

    _revocations: Revocations

    async def WatchRevocations(
        self, request: access_pb2.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[access_pb2.WatchRevocationsResponse]:
        async with aclosing(self._revocations.stream()) as said:
            async for response in said:
                yield response
