"""The witness over HTTP (C2SP tlog-witness): ``POST /add-checkpoint``; ``GET /latest?origin=`` shows what it vouches for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web

from clients.witness.state import WitnessState
from tlog.note import SignerKey, VerifierKey
from tlog.witness import AddCheckpoint, Refusal, WitnessError, check, cosignature, opened

_LOG = structlog.get_logger(__name__)
_MOST_BODY = 64 * 1024


class Witness:
    """Cosigns checkpoints of the logs it knows."""

    def __init__(
        self,
        key: SignerKey,
        logs: Sequence[VerifierKey],
        state: WitnessState,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._logs = tuple(logs)
        self._state = state
        self._clock = clock

    def add(self, body: bytes) -> str:
        """Return the cosignature line of a request; what was cosigned is on disk when this returns.

        Raises:
            WitnessError: it is not cosigned.
        """
        request = AddCheckpoint.parse(body)
        claimed = opened(request.note, self._logs)
        try:
            checkpoint = check(request, self._logs, self._state.last(claimed.origin))
        except WitnessError as error:
            if error.evidence:
                _LOG.error("contradiction", origin=claimed.origin, size=claimed.size, reason=str(error))
                self._state.keep_evidence(claimed.origin, request.note)
            raise
        # Nothing awaits between the check and this: two requests cannot both pass on the same state.
        self._state.remember(checkpoint.origin, request.note)
        _LOG.info("cosigned", origin=checkpoint.origin, size=checkpoint.size)
        return cosignature(request.note, self._key, int(self._clock()))

    def application(self) -> web.Application:
        """Return the HTTP application."""
        app = web.Application(client_max_size=_MOST_BODY)
        app.router.add_post("/add-checkpoint", self._add)
        app.router.add_get("/latest", self._latest)
        return app

    async def _add(self, request: web.Request) -> web.Response:
        try:
            return web.Response(text=self.add(await request.read()))
        except WitnessError as error:
            if error.refusal is Refusal.CONFLICT and error.size is not None:
                return web.Response(
                    status=409, body=f"{error.size}\n".encode(), content_type="text/x.tlog.size"
                )
            return web.Response(status=int(error.refusal), text=f"{error}\n")

    async def _latest(self, request: web.Request) -> web.Response:
        kept = self._state.logs().get(request.query.get("origin", ""))
        if kept is None or not kept.note:
            return web.Response(status=404, text="nothing was cosigned of that log: name it as ?origin=...\n")
        return web.Response(text=kept.note)
