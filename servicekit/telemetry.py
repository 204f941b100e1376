"""Logs and metrics. JSON lines on standard error; never a plate, a name or a token in clear text."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_SECRET_KEYS = frozenset(
    {"plate", "text", "token", "authorization", "member_name", "name", "reason_text", "query"}
)


def _redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key in _SECRET_KEYS.intersection(event):
        event[key] = "[withheld]"
    return event


def configure_logging(service: str, level: str) -> None:
    """Send structlog to standard error as JSON lines that name the service."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


class Metrics:
    """The metrics of one service."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.calls = Counter(
            "plateward_calls", "Calls by method and status.", ["method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "plateward_call_seconds", "Seconds from arrival to answer.", ["method"], registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )  # fmt: skip
        self.in_flight = Gauge("plateward_calls_in_flight", "Calls being handled.", registry=registry)
        self.handshakes = Counter(
            "plateward_handshakes_refused",
            "TLS handshakes refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self.unrecorded = Gauge(
            "plateward_refusals_waiting", "Refusals that wait for the audit log.", registry=registry
        )
        self.service = service

    def serve(self, listen: str) -> None:
        """Serve the metrics over HTTP, when an address is given."""
        if listen:
            host, _, port = listen.rpartition(":")
            start_http_server(int(port), host or "127.0.0.1", registry=self.registry)
