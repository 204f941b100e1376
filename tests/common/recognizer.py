"""The recognizer as a process of its own, over mutual TLS, without the rest of the platform."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clients.devkit.issuer import DevelopmentIssuer
from clients.devkit.pki import DevelopmentPki
from clients.devkit.processes import Process
from servicekit.channels import Credentials, open_channel

_START = "import os, runpy; os.sched_setaffinity(0, {cores}); runpy.run_module('services.recognizer', run_name='__main__')"
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class RunningRecognizer:
    """A recognizer that serves.

    Attributes:
        target: its address.
        process: its process.
        started_s: seconds from the start of the process to SERVING.
    """

    target: str
    process: Process
    started_s: float
    _pki: DevelopmentPki

    def channel(self, client: str = "gateway") -> grpc.aio.Channel:
        """Open a channel with the certificate of a client of the development PKI."""
        return open_channel(self.target, self.credentials(client))

    def credentials(self, client: str = "gateway") -> Credentials:
        """Return the files of a client's certificate."""
        return Credentials(cert=self._pki.cert(client), key=self._pki.key(client), ca=self._pki.ca)

    def memory_mb(self, field: str = "VmRSS") -> float:
        """Return resident memory now (VmRSS), or the most it ever was (VmHWM), in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024

    def cpu_s(self) -> float:
        """Return the CPU seconds that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def recognizer(folder: Path, *, cores: set[int], **settings: object) -> Iterator[RunningRecognizer]:
    """Run a recognizer until the block ends.

    Args:
        folder: for keys and the log.
        cores: CPU cores that it may use.
        settings: of ``RecognizerSettings``.

    Raises:
        RuntimeError: it did not come up; the message holds the end of its log.
    """
    pki, issuer = DevelopmentPki(folder / "pki"), DevelopmentIssuer(folder / "pki")
    pki.ensure()
    issuer.ensure()
    port, nobody = _free_port(), _free_port()
    values = {
        "listen": f"127.0.0.1:{port}",
        "tls_cert": pki.cert("recognizer"),
        "tls_key": pki.key("recognizer"),
        "tls_ca": pki.ca,
        "token_jwks": issuer.jwks,
        "access_target": f"127.0.0.1:{nobody}",
        "audit_target": f"127.0.0.1:{nobody}",
    } | settings
    environment = {f"PLATEWARD_RECOGNIZER_{name.upper()}": str(value) for name, value in values.items()}
    command = [sys.executable, "-c", _START.format(cores=cores)]
    begun = time.perf_counter()
    process = Process("recognizer", command, environment, folder / "recognizer.log")
    try:
        _wait(process, f"127.0.0.1:{port}", pki)
        yield RunningRecognizer(f"127.0.0.1:{port}", process, time.perf_counter() - begun, pki)
    finally:
        process.stop()


def _wait(process: Process, target: str, pki: DevelopmentPki) -> None:
    files = (pki.ca, pki.key("operator"), pki.cert("operator"))
    credentials = grpc.ssl_channel_credentials(*(f.read_bytes() for f in files))
    deadline = time.perf_counter() + _PATIENCE_S
    while True:
        # A channel that was refused backs off; a fresh one asks at once.
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(target, credentials, options=options) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(), timeout=2.0
                )
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.RpcError:
                pass
        if process.exit_code is not None or time.perf_counter() > deadline:
            raise RuntimeError(f"the recognizer did not come up; the end of its log:\n{process.tail()}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
