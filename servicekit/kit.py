"""What a service's wiring gets: clock, IDs, channels, background tasks, the drain."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import grpc
import structlog

from servicekit.channels import Credentials, open_channel
from servicekit.clock import Clock
from servicekit.ids import new_id
from servicekit.remote import RemoteAudit, RemoteDecider
from servicekit.settings import ServiceSettings
from servicekit.telemetry import Metrics
from tlog.note import VerifierKey

_LOG = structlog.get_logger(__name__)


class Kit:
    """The surroundings of one service process."""

    def __init__(self, settings: ServiceSettings, metrics: Metrics) -> None:
        self.clock = Clock()
        self.metrics = metrics
        self.draining = asyncio.Event()
        self.failed = asyncio.Event()
        self._settings = settings
        self._tasks: set[asyncio.Task[Any]] = set()
        self._channels: dict[str, grpc.aio.Channel] = {}

    def new_id(self) -> str:
        """Return a new UUIDv7."""
        return new_id(self.clock)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run work in the background; when it fails, the process ends with a non-zero code."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or self.draining.is_set():
            return
        if (fault := task.exception()) is not None:
            _LOG.error("background_task_failed", task=task.get_name(), exc_info=fault)
            self.failed.set()

    def channel(self, target: str) -> grpc.aio.Channel:
        """Return the channel to a service, with this service's own certificate; one for each target."""
        if target not in self._channels:
            own = Credentials(
                cert=self._settings.tls_cert, key=self._settings.tls_key, ca=self._settings.tls_ca
            )
            self._channels[target] = open_channel(target, own)
        return self._channels[target]

    def remote_audit(self) -> RemoteAudit:
        """Return the audit service as a sink."""
        keys = [VerifierKey.parse(key) for key in self._settings.audit_log_keys]
        return RemoteAudit(self.channel(self._settings.audit_target), keys)

    def remote_decider(self) -> RemoteDecider:
        """Return the access service as a decider."""
        return RemoteDecider(self.channel(self._settings.access_target))

    async def close(self) -> None:
        """Cancel the background tasks and close the channels."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels.values():
            await channel.close()
