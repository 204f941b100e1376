"""The server's TLS: a client certificate is always required; changed files are picked up without a restart."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import grpc
import structlog

_LOG = structlog.get_logger(__name__)


class ReloadingCertificates:
    """Gives gRPC the certificate files as they are; a half-written pair is passed over until it is whole."""

    def __init__(self, cert: Path, key: Path, ca: Path) -> None:
        self._files = (cert, key, ca)
        self._stamp = self._stamps()
        self._digest = b""

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return server credentials that require a client certificate and follow the files."""
        # None keeps what is in force; the published stubs do not know that.
        fetch: Any = self._changed
        return grpc.dynamic_ssl_server_credentials(self._load(), fetch, require_client_authentication=True)

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        return tuple((s.st_mtime_ns, s.st_size) for s in (path.stat() for path in self._files))

    def _load(self) -> grpc.ServerCertificateConfiguration:
        cert, key, ca = (path.read_bytes() for path in self._files)
        self._digest = hashlib.sha256(cert + key + ca).digest()
        return grpc.ssl_server_certificate_configuration([(key, cert)], ca)

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return a new configuration when the files have changed; called by gRPC for each handshake."""
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return None
            before = self._digest
            configuration = self._load()
        except OSError as error:
            _LOG.warning("certificate_reload_failed", error=type(error).__name__)
            return None
        self._stamp = stamp
        if self._digest == before:
            return None
        _LOG.info("certificate_reloaded")
        return configuration
