"""The HTTP endpoint from which the OPA server fetches its signed bundle (OPA, "Bundle service API").

Rules
-----
1. The bundle is signed: who reads it learns published policy, and who alters it on the way is refused by OPA.
2. OPA's long poll is answered as soon as there is another version, so that a version is taken up at once.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from aiohttp import web

PATH = "/bundles/plateward.tar.gz"
_MEDIA_TYPE = "application/vnd.openpolicyagent.bundles"
_WAIT = re.compile(r"wait=(\d{1,4})")
_LONGEST_WAIT_S = 60


class BundleServer:
    """Serves one bundle at a time."""

    def __init__(self, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        self._address = (host, int(port))
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()
        self._version, self._data = "", b""

    async def offer(self, version: str, data: bytes) -> None:
        """Serve a bundle from now on; the first one opens the endpoint.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._version, self._data = version, data
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self._runner is None:
            app = web.Application()
            app.router.add_get(PATH, self._get)
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await self._runner.setup()
            try:
                await web.TCPSite(self._runner, *self._address).start()
            except OSError as error:
                host, port = self._address
                raise OSError(
                    f"Failed to bind to address {host}:{port} for the policy bundle: choose a free one (BUNDLE_LISTEN)"
                ) from error

    async def close(self) -> None:
        """Stop serving."""
        self._changed.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        known = request.headers.get("If-None-Match", "").strip('"')
        wait = _WAIT.search(request.headers.get("Prefer", ""))
        if known == self._version and wait:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(int(wait[1]), _LONGEST_WAIT_S))
        headers = {"ETag": f'"{self._version}"', "Content-Type": _MEDIA_TYPE}
        if known == self._version:
            return web.Response(status=304, headers=headers)
        return web.Response(body=self._data, headers=headers)
