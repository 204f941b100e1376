"""A message switch to try things with: it takes requests for confirmation and answers as the agencies behind it would.

It confirms what it was told nothing about, after ``--after`` seconds, and says in every answer that it is simulated. What it shall
answer for a plate is set beforehand:

    curl -X PUT http://127.0.0.1:7491/records/8ABC123 -d '{"answer": "not-in-force", "after_s": 2}'

``answer`` is confirmed, not-in-force, other-vehicle, in-process (with ``"then": "confirmed"`` and ``"process_s": 20``) or silent; ``attempts``
says how many requests it takes before it answers (1).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_ANSWERS = ("confirmed", "not-in-force", "other-vehicle", "in-process", "silent")


@dataclass
class _Record:
    answer: str = "confirmed"
    after_s: float = 2.0
    attempts: int = 1
    then: str = "confirmed"
    process_s: float = 20.0


@dataclass
class _Request:
    plate: str
    first_at: float
    attempts: set[int] = field(default_factory=set)


class RecordsSwitch:
    """The agencies behind a switch, each as a state machine."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._records: dict[str, _Record] = {}
        self._requests: dict[str, _Request] = {}

    def application(self) -> web.Application:
        """Return what serves the HTTP contract of ``services/hotlist/switch.py``."""
        made = web.Application(client_max_size=64 * 1024)
        made.add_routes([
            web.put("/records/{plate}", self._put), web.post("/confirmations", self._ask), web.get("/confirmations/{id}", self._reply),
        ])  # fmt: skip
        return made

    async def _put(self, request: web.Request) -> web.Response:
        told = json.loads(await request.text())
        if told.get("answer") not in _ANSWERS:
            raise web.HTTPBadRequest(text=f"answer is one of {', '.join(_ANSWERS)}\n")
        try:
            self._records[request.match_info["plate"].upper()] = _Record(**{"after_s": self._after_s, **told})
        except TypeError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        return web.Response(status=204)

    async def _ask(self, request: web.Request) -> web.Response:
        asked = await request.json()
        known = self._requests.setdefault(asked["id"], _Request(asked["plate"].upper(), time.monotonic()))
        known.attempts.add(int(asked["attempt"]))
        return web.Response(status=202)

    async def _reply(self, request: web.Request) -> web.Response:
        asked = self._requests.get(request.match_info["id"])
        if asked is None:
            raise web.HTTPNotFound
        return web.json_response(self._answer(asked))

    def _answer(self, asked: _Request) -> dict[str, Any]:
        record = self._records.get(asked.plate, _Record(after_s=self._after_s))
        passed = time.monotonic() - asked.first_at
        if record.answer == "silent" or passed < record.after_s or len(asked.attempts) < record.attempts:
            return {"status": "waiting"}
        answer = record.answer
        if answer == "in-process":
            left = record.after_s + record.process_s - passed
            if left > 0:
                until = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + left))
                return {"status": "in-process", "until": until}
            answer = record.then
        return {
            "status": answer, "by": "simulated agency", "reference": f"SIM {int(asked.first_at)}", "note": "answered by a simulator",
        }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m clients.devkit.records_switch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen", default="127.0.0.1:7491", help="address and port (default 127.0.0.1:7491)"
    )
    parser.add_argument("--after", type=float, default=2.0, help="seconds until an answer (default 2)")
    options = parser.parse_args()
    host, port = options.listen.rsplit(":", 1)
    web.run_app(RecordsSwitch(options.after).application(), host=host, port=int(port), print=None)


if __name__ == "__main__":
    main()
