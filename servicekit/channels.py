"""Channels to the services: mutual TLS, keep-alive, retries left to the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files of a client's identity."""

    cert: Path
    key: Path
    ca: Path

    def load(self) -> grpc.ChannelCredentials:
        """Return the channel credentials of the files as they are now."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca.read_bytes(),
            private_key=self.key.read_bytes(),
            certificate_chain=self.cert.read_bytes(),
        )


def open_channel(
    target: str, credentials: Credentials, *, options: Sequence[tuple[str, Any]] = ()
) -> grpc.aio.Channel:
    """Return a channel; a changed client certificate needs a new one."""
    return grpc.aio.secure_channel(target, credentials.load(), options=[*_OPTIONS, *options])


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Return the call metadata that carries a member's token."""
    return (("authorization", f"Bearer {token}"),)
