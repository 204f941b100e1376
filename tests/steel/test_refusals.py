"""Every method of every service refuses a missing, unknown or forged identity with the right status, on record."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from clients.connection import Connection
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc
from plateward.common.v1 import action_pb2
from servicekit.channels import bearer
from tests.common.api import IDENTITIES, MODULES, Method, call_raw, every_method

METHODS = every_method()
USER_METHODS = [m for m in METHODS if m.rule.needs_user]
REFUSED_HANDSHAKE = grpc.StatusCode.UNAVAILABLE


async def tree_size(connection: Connection) -> int:
    async with connection.channel("audit", "portal") as channel:
        answer = await audit_pb2_grpc.AuditServiceStub(channel).GetCheckpoint(
            audit_pb2.GetCheckpointRequest()
        )
    return int(answer.checkpoint.split("\n")[1])


async def grown_to(connection: Connection, size: int, patience_s: float = 5.0) -> int:
    """Return the tree's size once it has reached ``size``, or when patience ends."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while (now := await tree_size(connection)) < size and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.2)
    return now


def allowed_identity(method: Method) -> str | None:
    return next((IDENTITIES[k] for k in method.rule.callers if k in IDENTITIES), None)


def test_every_method_states_its_rule() -> None:
    for method in METHODS:
        assert method.rule.action != action_pb2.ACTION_UNSPECIFIED, method
        assert method.rule.callers, method
        assert method.rule.requirements, method


@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-ACC-6")
@pytest.mark.parametrize("service", MODULES)
@pytest.mark.parametrize("identity", ["none", "unknown"])
async def test_without_a_known_certificate(connection: Connection, service: str, identity: str) -> None:
    before = await tree_size(connection)
    for method in (m for m in METHODS if m.service == service):
        async with connection.channel(service, identity) as channel:
            assert await call_raw(channel, method, b"") == REFUSED_HANDSHAKE, method
    assert await grown_to(connection, before + 1) > before, "refused handshakes left no record"


@pytest.mark.req("R-ACC-5")
@pytest.mark.req("R-ACC-6")
@pytest.mark.parametrize("forgery", ["missing", "forged", "expired", "garbage"])
async def test_without_a_good_token(connection: Connection, forgery: str) -> None:
    before = await tree_size(connection)
    metadata = {
        "missing": (),
        "forged": bearer(connection.token("m-1042", forged=True)),
        "expired": bearer(connection.token("m-1042", ttl_s=-3600)),
        "garbage": bearer("not.a.token"),
    }[forgery]
    for method in USER_METHODS:
        async with connection.channel(method.service, allowed_identity(method) or "portal") as channel:
            assert await call_raw(channel, method, b"", metadata) == grpc.StatusCode.UNAUTHENTICATED, method
    assert await grown_to(connection, before + len(USER_METHODS)) >= before + len(USER_METHODS)


@pytest.mark.req("R-ACC-5")
async def test_without_a_second_factor(connection: Connection) -> None:
    before = await tree_size(connection)
    metadata = bearer(connection.token("m-1042", amr=("pwd",)))
    portal_methods = [m for m in USER_METHODS if action_pb2.CALLER_KIND_PORTAL in m.rule.callers]
    for method in portal_methods:
        async with connection.channel(method.service, "portal") as channel:
            assert await call_raw(channel, method, b"", metadata) == grpc.StatusCode.PERMISSION_DENIED, method
    assert await grown_to(connection, before + len(portal_methods)) >= before + len(portal_methods)


@pytest.mark.req("R-ACC-8")
@pytest.mark.parametrize("kind", list(IDENTITIES))
async def test_the_wrong_kind_of_certificate(connection: Connection, kind: int) -> None:
    before = await tree_size(connection)
    closed = [m for m in METHODS if kind not in m.rule.callers]
    metadata = bearer(connection.token("m-1042")) if kind == action_pb2.CALLER_KIND_PORTAL else ()
    for method in closed:
        async with connection.channel(method.service, IDENTITIES[kind]) as channel:
            assert await call_raw(channel, method, b"", metadata) == grpc.StatusCode.PERMISSION_DENIED, method
    assert await grown_to(connection, before + len(closed)) >= before + len(closed)


@pytest.mark.req("R-ACC-8")
def test_the_operator_has_no_path_to_reads() -> None:
    open_to_operator = {str(m) for m in METHODS if action_pb2.CALLER_KIND_OPERATOR in m.rule.callers}
    assert not {m for m in open_to_operator if m.startswith(("reads.", "hotlist."))}
