"""A service's process: start, serve, drain.

Rules
-----
1. Health says NOT_SERVING until everything is wired and warm, and again as soon as a stop signal comes.
2. A stop signal lets calls in flight go on for ``drain_seconds``; streams watch ``Kit.draining``.
3. A background task that fails ends the process: half a service is worse than none.
"""

from __future__ import annotations

from servicekit import handshakes

handshakes.prepare_environment()

import asyncio  # noqa: E402 - the environment of gRPC's C core must be set before grpc is imported
import signal  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import AsyncIterator, Awaitable, Callable  # noqa: E402
from contextlib import AbstractAsyncContextManager, asynccontextmanager  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from functools import partial  # noqa: E402
from typing import Any  # noqa: E402

import grpc  # noqa: E402
import structlog  # noqa: E402
import uvloop  # noqa: E402
from google.protobuf.descriptor import ServiceDescriptor  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_health.v1.health import aio as health_aio  # noqa: E402
from grpc_reflection.v1alpha import reflection  # noqa: E402

from servicekit.chain import Chain  # noqa: E402
from servicekit.interceptors.audit import Recorder  # noqa: E402
from servicekit.issuer_keys import DiscoveredKeys, FileKeys, KeySource  # noqa: E402
from servicekit.kit import Kit  # noqa: E402
from servicekit.methods import Method, methods_of  # noqa: E402
from servicekit.ports import AuditSink, Decider  # noqa: E402
from servicekit.revocations import RevocationWatch  # noqa: E402
from servicekit.settings import ServiceSettings, SettingsError  # noqa: E402
from servicekit.telemetry import Metrics, configure_logging  # noqa: E402
from servicekit.tls import ReloadingCertificates  # noqa: E402
from servicekit.tokens import TokenVerifier  # noqa: E402

__all__ = ["Kit", "Service", "Wired", "run"]

_LOG = structlog.get_logger(__name__)
_HANDSHAKE_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Wired:
    """What a service's wiring gives back."""

    servicer: object
    audit: AuditSink
    decider: Decider
    on_ready: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A service, as ``run`` takes it."""

    name: str
    descriptor: ServiceDescriptor
    settings: type[ServiceSettings]
    wire: Callable[[Any, Kit], AbstractAsyncContextManager[Wired]]


class _Handlers(grpc.GenericRpcHandler):
    """Routes every method of a descriptor through the chain, as bytes in and bytes out."""

    def __init__(self, service: Service, servicer: object, chain: Chain) -> None:
        self._handlers = {
            m.path: _handler(m, _implementation(servicer, m), chain) for m in methods_of(service.descriptor)
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(handler_call_details.method)


def _implementation(servicer: object, method: Method) -> Callable[..., Any] | None:
    """Return the servicer's own method, or None when it is only inherited from the generated base."""
    for cls in type(servicer).__mro__:
        if method.name in vars(cls):
            return None if cls.__module__.endswith("_pb2_grpc") else getattr(servicer, method.name)
    return None


def _handler(
    method: Method, implementation: Callable[..., Any] | None, chain: Chain
) -> grpc.RpcMethodHandler[Any, Any]:
    shapes = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    if method.server_streaming:

        async def stream(raw: Any, rpc: Any) -> AsyncIterator[bytes]:
            async for answer in chain.stream(method, implementation, raw, rpc):
                yield answer

        return shapes[method.client_streaming, True](stream)
    return shapes[method.client_streaming, False](partial(chain.unary, method, implementation))


def run(service: Service) -> int:
    """Run a service until a stop signal; return the process's exit code."""
    try:
        settings = service.settings.load()
    except SettingsError as error:
        print(f"{service.name}: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        return 2
    configure_logging(service.name, settings.log_level)
    return uvloop.run(_serve(service, settings))


async def _serve(service: Service, settings: ServiceSettings) -> int:
    metrics = Metrics(service.name)
    kit = Kit(settings, metrics)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with service.wire(settings, kit) as wired, _listening(service, settings, kit, wired) as health:
            if wired.on_ready is not None:
                await wired.on_ready()
            await health.set("", health_pb2.HealthCheckResponse.SERVING)
            await health.set(service.descriptor.full_name, health_pb2.HealthCheckResponse.SERVING)
            _LOG.info("serving_health", status="SERVING")
            waits = [asyncio.create_task(stop.wait()), asyncio.create_task(kit.failed.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            kit.draining.set()
            await health.enter_graceful_shutdown()
    except Exception:  # noqa: BLE001 - whatever it is, the process ends with its trace in the log
        _LOG.exception("service_failed")
        return 1
    finally:
        await kit.close()
    _LOG.info("stopped")
    return 1 if kit.failed.is_set() else 0


@asynccontextmanager
async def _listening(
    service: Service, settings: ServiceSettings, kit: Kit, wired: Wired
) -> AsyncIterator[health_aio.HealthServicer]:
    recorder = Recorder(service.name, wired.audit, kit.clock, kit.metrics)
    chain = Chain(
        clock=kit.clock, metrics=kit.metrics, recorder=recorder, decider=wired.decider,
        verifier=_verifier(settings, kit),
        max_concurrent=settings.max_concurrent, default_deadline_ms=settings.default_deadline_ms,
        watch=_watch_revocations(service, settings, kit),
    )  # fmt: skip
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.max_concurrent_streams", settings.max_concurrent),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    )
    server.add_generic_rpc_handlers((_Handlers(service, wired.servicer, chain),))
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    for name in ("", service.descriptor.full_name):
        await health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
    names = (
        service.descriptor.full_name,
        health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
        reflection.SERVICE_NAME,
    )
    reflection.enable_server_reflection(names, server)
    certificates = ReloadingCertificates(settings.tls_cert, settings.tls_key, settings.tls_ca)
    port = server.add_secure_port(settings.listen, certificates.server_credentials())
    kit.metrics.serve(settings.metrics_listen)
    kit.spawn(recorder.keep_trying(), "refusals")
    _watch_handshakes(kit, recorder)
    await server.start()
    _LOG.info("serving", address=f"{settings.listen.rpartition(':')[0]}:{port}")
    try:
        yield health
    finally:
        await server.stop(settings.drain_seconds)


def _verifier(settings: ServiceSettings, kit: Kit) -> TokenVerifier:
    file = settings.token_jwks
    keys: KeySource = FileKeys(file) if file else DiscoveredKeys(settings.token_issuer, settings.token_ca)
    acr = [value.strip() for value in settings.token_mfa_acr.split(",") if value.strip()]
    return TokenVerifier(
        settings.token_issuer, settings.token_audience, keys, kit.clock,
        agency_claim=settings.token_agency_claim, mfa_acr=acr, max_age_s=settings.token_max_age_s,
    )  # fmt: skip


def _watch_revocations(service: Service, settings: ServiceSettings, kit: Kit) -> RevocationWatch | None:
    """Listen for revocations where the service has streams that policy decides on."""
    if not any(m.rule.decided and m.server_streaming for m in methods_of(service.descriptor)):
        return None
    watch = RevocationWatch(kit.channel(settings.access_target))
    kit.spawn(watch.run(), "revocations")
    return watch


def _watch_handshakes(kit: Kit, recorder: Recorder) -> None:
    """Count and record refused handshakes, one event a reason and second."""
    loop = asyncio.get_running_loop()
    seen: Counter[str] = Counter()
    arrived = asyncio.Event()

    def note(reason: str) -> None:
        seen[reason] += 1
        kit.metrics.handshakes.labels(reason).inc()
        arrived.set()

    async def record() -> None:
        while True:
            await arrived.wait()
            await asyncio.sleep(_HANDSHAKE_WINDOW_S)
            arrived.clear()
            batch = dict(seen)
            seen.clear()
            for reason, count in batch.items():
                _LOG.warning("handshake_refused", reason_code=reason, count=count)
                await recorder.handshakes(reason, count)

    kit.spawn(record(), "handshakes")

    def report(reason: str) -> None:
        loop.call_soon_threadsafe(note, reason)

    handshakes.watch(report)
