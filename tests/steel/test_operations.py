"""What operators rely on: metrics, logs without secrets, certificates renewed without a restart, a graceful end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import urllib.request
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer
from tests.common.api import MODULES
from tests.steel.test_fail_closed import search


def metrics(root: Path, service: str) -> str:
    address = json.loads((root / "stack.json").read_text())["metrics"][service]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("service", MODULES)
async def test_metrics_count_calls_and_refused_handshakes(
    stack: Stack, stack_root: Path, connection: Connection, service: str
) -> None:
    async with connection.channel(service, "unknown") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=3)
    await asyncio.sleep(0.3)
    text = await asyncio.to_thread(metrics, stack_root, service)
    assert 'plateward_handshakes_refused_total{reason="CERTIFICATE_VERIFY_FAILED"}' in text
    assert "plateward_calls_in_flight" in text


@pytest.mark.req("R-REC-2")
@pytest.mark.req("R-ACC-8")
async def test_logs_hold_no_plate_name_or_token(
    stack: Stack, stack_root: Path, connection: Connection
) -> None:
    token = connection.token("m-1042")
    await search(connection)
    async with connection.channel("reads", "portal") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await reads_pb2_grpc.ReadsServiceStub(channel).SearchReads(
                reads_pb2.SearchReadsRequest(plate="8ABC123"), metadata=bearer(token)
            )
    logs = "".join(p.read_text() for p in (stack_root / "logs").glob("*.log"))
    assert '"event": "call"' in logs
    for secret in ("8ABC123", "Reyes", "Laguna", "26-004312", "silver Accord", token, token.split(".")[1]):
        assert secret not in logs, secret


async def test_every_line_of_a_service_s_log_is_json(stack: Stack, stack_root: Path) -> None:
    for service in MODULES:
        for line in (stack_root / "logs" / f"{service}.log").read_text().splitlines():
            if line.startswith("{"):
                assert {"event", "service", "timestamp", "level"} <= set(json.loads(line)), line


def served_serial(connection: Connection, service: str) -> int:
    context = ssl.create_default_context(cafile=str(connection.ca))
    context.load_cert_chain(connection.clients["operator"]["cert"], connection.clients["operator"]["key"])
    context.set_alpn_protocols(["h2"])
    host, _, port = connection.targets[service].rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        data = secure.getpeercert(binary_form=True)
    assert data is not None
    return x509.load_der_x509_certificate(data).serial_number


async def test_a_renewed_certificate_is_served_without_a_restart(
    stack: Stack, connection: Connection
) -> None:
    before = await asyncio.to_thread(served_serial, connection, "reads")
    pid = next(row.pid for row in stack.status() if row.name == "reads")
    await asyncio.to_thread(stack.renew_certificate, "reads")
    assert await asyncio.to_thread(served_serial, connection, "reads") != before
    assert next(row.pid for row in stack.status() if row.name == "reads") == pid
    assert (await search(connection)).receipt.leaf_hash


async def test_a_service_ends_gracefully_and_open_streams_with_it(
    stack: Stack, connection: Connection
) -> None:
    stack.kill("reads", signal.SIGTERM)
    assert await asyncio.to_thread(stack.wait, "reads", 9.0) == 0
    await asyncio.to_thread(stack.start, "reads")
    assert (await search(connection)).receipt.leaf_hash


@pytest.mark.parametrize("service", MODULES)
async def test_reflection_tells_the_api(stack: Stack, connection: Connection, service: str) -> None:
    async def ask():
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async with connection.channel(service, "operator") as channel:
        async for answer in reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            ask(), timeout=5
        ):
            names = {s.name for s in answer.list_services_response.service}
            break
    assert next(iter(MODULES[service].DESCRIPTOR.services_by_name.values())).full_name in names
