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
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import ObjectStore

from plateward.common.v1 import errors_pb2
from servicekit.crypto import UnsealError, open_sealed, seal
from servicekit.errors import PlatewardError

_AT_ONCE = 16
_DELETE_AT_ONCE = 500


def crop_key(agency_id: str, seen_at: datetime, read_id: str, kind: str) -> str:
    """Return where a crop is kept. Example: ``elk-grove-pd/2026/11/23/01990e5c-...-plate``."""
    return f"{agency_id}/{seen_at.astimezone(UTC):%Y/%m/%d}/{read_id}-{kind}"


def day_prefix(agency_id: str, day: date) -> str:
    """Return the prefix under which an agency's crops of a UTC day lie. Example: ``elk-grove-pd/2026/11/23/``."""
    return f"{agency_id}/{day:%Y/%m/%d}/"


def held_key(agency_id: str, read_id: str, kind: str) -> str:
    """Return where a crop is kept under a hold: apart from the days, which are destroyed as a whole."""
    return f"held/{agency_id}/{read_id}-{kind}"


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

    async def copy(self, pictures: Mapping[str, str]) -> set[str]:
        """Copy pictures, target to source, some at once; return the targets whose source was there.

        Each is opened and sealed again, since a blob opens under its own key only.

        Raises:
            PlatewardError: STORAGE_UNAVAILABLE: some may have been copied.
        """
        there: set[str] = set()
        waiting = iter(pictures.items())

        async def work() -> None:
            for target, source in waiting:
                picture = await self.get(source)
                if picture is not None:
                    await self.put({target: picture})
                    there.add(target)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(pictures))):
                    group.create_task(work())
        except BaseExceptionGroup as faults:
            raise faults.exceptions[0] from faults
        return there

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

    async def destroy(self, key: str) -> None:
        """Delete the blob of a key, or all blobs under a prefix that ends with a slash; what is gone already is well.

        Raises:
            PlatewardError: STORAGE_UNAVAILABLE when the store does not delete.
        """
        try:
            if not key.endswith("/"):
                await self._delete([key])
                return
            async for batch in obstore.list(
                self._store, prefix=key.removesuffix("/"), chunk_size=_DELETE_AT_ONCE
            ):
                await self._delete([blob["path"] for blob in batch if blob["path"].startswith(key)])
        except (BaseError, OSError) as error:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
                "The crop store does not delete pictures now: the destruction goes on when it does.",
                retry_after=5.0,
            ) from error

    async def _delete(self, keys: Sequence[str]) -> None:
        try:
            await obstore.delete_async(self._store, list(keys))
        except (NotFoundError, FileNotFoundError):
            for key in keys:
                with contextlib.suppress(NotFoundError, FileNotFoundError):
                    await obstore.delete_async(self._store, key)

    async def _put(self, key: str, picture: bytes) -> None:
        async with self._gate:
            try:
                await obstore.put_async(
                    self._store, key, seal(self._key, picture, key.encode()), mode="create"
                )
            except AlreadyExistsError:
                return
