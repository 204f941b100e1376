"""The public log over HTTP, as C2SP tlog-tiles lays it out: nothing but hashes and salted commitments.

``/checkpoint``, ``/log.vkey``, ``/tile/<level>/<index>[.p/<width>]``, ``/tile/entries/...``. Full tiles never change and may
be cached for ever; the checkpoint must not be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from services.audit.export import tile_or_bundle
from services.audit.publishing import Publisher
from services.audit.sequencer import Sequencer
from services.audit.store import Store
from tlog.tiles import TILE_WIDTH, TileError, parse_tile_path

_FOR_EVER = "public, max-age=31536000, immutable"


class PublicLog:
    """The handlers."""

    def __init__(self, sequencer: Sequencer, publisher: Publisher, store: Store) -> None:
        self._sequencer = sequencer
        self._publisher = publisher
        self._store = store

    def application(self) -> web.Application:
        """Return the HTTP application."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/checkpoint", self._checkpoint)
        app.router.add_get("/log.vkey", self._keys)
        app.router.add_get("/{path:tile/.+}", self._tile)
        return app

    async def _checkpoint(self, _request: web.Request) -> web.Response:
        _, note = self._publisher.published
        if not note:
            return web.Response(
                status=404, text="no checkpoint is published yet: witnesses must cosign first\n"
            )
        return web.Response(text=note, headers={"Cache-Control": "no-cache"})

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.Response(text="".join(f"{key}\n" for key in self._sequencer.verifiers))

    async def _tile(self, request: web.Request) -> web.Response:
        try:
            coord = parse_tile_path(request.match_info["path"])
            data = await tile_or_bundle(
                self._store, self._sequencer.tiles, self._publisher.published[0], coord
            )
        except TileError as error:
            return web.Response(status=404, text=f"{error}\n")
        cached = _FOR_EVER if coord.width == TILE_WIDTH else "public, max-age=60"
        return web.Response(
            body=data, content_type="application/octet-stream", headers={"Cache-Control": cached}
        )


@asynccontextmanager
async def serving(log: PublicLog, listen: str) -> AsyncIterator[None]:
    """Serve the public log at an address; an empty one serves nothing."""
    if not listen:
        yield
        return
    runner = web.AppRunner(log.application(), access_log=None)
    await runner.setup()
    try:
        host, _, port = listen.rpartition(":")
        await web.TCPSite(runner, host or "127.0.0.1", int(port)).start()
        yield
    finally:
        await runner.cleanup()
