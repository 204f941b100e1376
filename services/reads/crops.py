"""Crops: the only pictures that are kept (R-REC-3), encrypted, in a blob store.

Rules
-----
1. A key is ``<agency>/<yyyy>/<mm>/<dd>/<read_id>-<kind>``: what must go together lies under one prefix.
2. AES-256-GCM with the key as associated data: a blob moved to another key does not open.
3. Written before the row is committed and never overwritten: a row never points to nothing, and a resent read
   cannot replace a picture that is evidence. What a failed commit leaves behind goes with its day's prefix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import ObjectStore

from plateward.common.v1 import errors_pb2
from servicekit.crypto import UnsealError, open_sealed, seal
from servicekit.errors import PlatewardError

_AT_ONCE = 16


def crop_key(agency_id: str, seen_at: datetime, read_id: str, kind: str) -> str:
    """Return where a crop is kept. Example: ``elk-grove-pd/2026/11/23/01990e5c-...-plate``."""
    return f"{agency_id}/{seen_at.astimezone(UTC):%Y/%m/%d}/{read_id}-{kind}"


class Crops:
    """The blob store with its key."""

    def __init__(self, store: ObjectStore, key: bytes) -> None:
        self._store = store
        self._key = key
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def put(self, pictures: Mapping[str, bytes]) -> None:
        """Keep pictures under their keys; what is kept already stays as it is.

        Raises:
            PlatewardError: STORAGE_UNAVAILABLE when the store does not take them.
        """
        ends = await asyncio.gather(
            *(self._put(key, picture) for key, picture in pictures.items()), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseError | OSError):
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
                    "The crop store does not take pictures now: nothing was stored; send the batch again later.",
                    retry_after=5.0,
                ) from end
            if isinstance(end, BaseException):
                raise end

    async def get(self, key: str) -> bytes | None:
        """Return the picture under a key; ``None`` where there is none.

        Raises:
            PlatewardError: STORAGE_UNAVAILABLE when the store does not answer or the blob does not open.
        """
        try:
            answer = await obstore.get_async(self._store, key)
            sealed = bytes(await answer.bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
                "The crop store does not answer: try again later.",
                retry_after=5.0,
            ) from error
        try:
            return open_sealed(self._key, sealed, key.encode())
        except UnsealError as error:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
                "The picture does not open with the service's key: tell the operator, it was altered or the key changed.",
            ) from error

    async def _put(self, key: str, picture: bytes) -> None:
        async with self._gate:
            try:
                await obstore.put_async(
                    self._store, key, seal(self._key, picture, key.encode()), mode="create"
                )
            except AlreadyExistsError:
                return
