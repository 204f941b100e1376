"""The two engines that run the same Rego: the OPA server, and regopy in process. Both fail closed."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import regopy
from cryptography.hazmat.primitives.asymmetric import ec
from opa_client import AsyncOpaClient
from opa_client.errors import ConnectionsError, RegoParseError

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError
from services.access.bundle_server import BundleServer
from services.access.bundles import pack
from services.access.policy import PolicyBundle

_PACKAGE, _RULE = "plateward.main", "decision"
_ENTRYPOINT = "plateward/main/decision"
_EFFECTS = frozenset({"allow", "deny"})
_OPA_TIMEOUT_S = 1.5
_MOST_DECIDED = 8192
_LOAD_TIMEOUT_S = 20.0
_LOAD_POLL_S = 0.1
_OPA_FAULTS = (aiohttp.ClientError, ConnectionsError, RegoParseError, TimeoutError, OSError, ValueError)


class Engine(Protocol):
    """Evaluates the bundle's decision."""

    name: str

    async def load(self, bundle: PolicyBundle) -> None:
        """Make a bundle the one that decides."""
        ...

    async def evaluate(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the decision object; raise PlatewardError(DECISION_UNAVAILABLE) when there is none."""
        ...

    async def close(self) -> None:
        """Let go of what is held."""
        ...


def unavailable() -> PlatewardError:
    """Return the refusal that stands for an engine without an answer."""
    return PlatewardError(
        errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
        "the policy engine did not decide, and nothing is allowed without a decision: try again shortly",
        retry_after=1.0,
    )


def checked(result: object) -> dict[str, Any]:
    """Return a result when it has the shape of a decision; anything else is no decision.

    Raises:
        PlatewardError: DECISION_UNAVAILABLE.
    """
    if (
        isinstance(result, dict)
        and result.get("effect") in _EFFECTS
        and isinstance(result.get("rule"), str)
        and result["rule"]
        and isinstance(result.get("version"), str)
    ):
        return result
    raise unavailable()


class RegopyEngine:
    """Runs Rego in process, on the event loop's thread: handing a decision of under a millisecond to another costs more.

    A decision follows from version and input alone: the rules know no clock, no network and no chance. So what was decided
    once for an input is kept, for this version and no other. The input is made anew from the database for every call; what
    was revoked makes another input.
    """

    name = "regopy"

    def __init__(self) -> None:
        self._compiled: tuple[regopy.Interpreter, Any] | None = None
        self._decided: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def load(self, bundle: PolicyBundle) -> None:
        """Make a bundle the one that decides."""
        interpreter = regopy.Interpreter()
        for name, text in bundle.rules.items():
            interpreter.add_module(name, text)
        interpreter.add_data({"policy": bundle.data})
        # Compiled once: evaluating a query from its text is ten times slower.
        self._compiled = (interpreter, interpreter.build(None, [_ENTRYPOINT]))
        self._decided.clear()

    async def evaluate(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the decision object; it is shared and must not be changed."""
        key = json.dumps(facts, sort_keys=True)
        known = self._decided.get(key)
        if known is None:
            known = self.evaluate_anew(facts)
            self._decided[key] = known
            if len(self._decided) > _MOST_DECIDED:
                self._decided.popitem(last=False)
        return known

    def evaluate_anew(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the decision object for an input, without looking at what was decided before.

        Raises:
            PlatewardError: DECISION_UNAVAILABLE.
        """
        if self._compiled is None:
            raise unavailable()
        interpreter, compiled = self._compiled
        try:
            interpreter.set_input(facts)
            output = json.loads(str(interpreter.query_bundle_entrypoint(compiled, _ENTRYPOINT)))
            return checked(output["expressions"][0])
        except (regopy.RegoError, ValueError, KeyError, IndexError, TypeError) as error:
            raise unavailable() from error

    async def close(self) -> None:
        """Let go of what is held."""
        self._compiled = None


class OpaEngine:
    """Asks an OPA server, which fetches the signed bundle from here and refuses one that this installation did not sign.

    The server fetches again by itself, also after a restart; what it says names the version that it decided by.
    """

    name = "opa"

    def __init__(self, url: str, bundle_listen: str, key: ec.EllipticCurvePrivateKey) -> None:
        parts = urlsplit(url)
        self._client = AsyncOpaClient(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 8181,
            ssl=parts.scheme == "https",
            retries=1,
            timeout=_OPA_TIMEOUT_S,
        )
        self._bundles = BundleServer(bundle_listen)
        self._key = key
        self._opened = False

    async def load(self, bundle: PolicyBundle) -> None:
        """Make a bundle the one that decides; return once the server says so.

        Raises:
            PlatewardError: DECISION_UNAVAILABLE: the server does not take it up.
        """
        if not self._opened:
            await self._client.__aenter__()
            self._opened = True
        await self._bundles.offer(bundle.version, pack(bundle, self._key))
        deadline = asyncio.get_running_loop().time() + _LOAD_TIMEOUT_S
        while await self.version() != bundle.version or not await self.healthy():
            if asyncio.get_running_loop().time() > deadline:
                raise unavailable()
            await asyncio.sleep(_LOAD_POLL_S)

    async def version(self) -> str:
        """Return the version that the server decides by; empty while it has none or does not answer."""
        try:
            answer = await self._client.query_rule({}, _PACKAGE, _RULE)
        except _OPA_FAULTS:
            return ""
        result = answer.get("result")
        return str(result.get("version", "")) if isinstance(result, dict) else ""

    async def healthy(self) -> bool:
        """Return whether the server answers and has loaded its bundle."""
        try:
            return bool(await self._client.check_health(query={"bundles": "true"}))
        except _OPA_FAULTS:
            return False

    async def evaluate(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the decision object."""
        try:
            answer = await self._client.query_rule(facts, _PACKAGE, _RULE)
        except _OPA_FAULTS as error:
            raise unavailable() from error
        return checked(answer.get("result"))

    async def close(self) -> None:
        """Let go of what is held."""
        await self._bundles.close()
        if self._opened:
            await self._client.close_connection()
