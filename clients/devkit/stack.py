"""The whole platform on one machine: PKI, issuer, PostgreSQL, OPA where it is found, five service processes.

Rules
-----
1. What is set up is used again; what was left running by a crash is ended first.
2. A service counts as up when its health says SERVING over mutual TLS.
3. ``stop`` leaves nothing running, also after an exception.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg import sql

from clients.connection import FILE
from clients.devkit import postgres
from clients.devkit.embedded_issuer import EmbeddedIssuer
from clients.devkit.issuer import DevelopmentIssuer
from clients.devkit.opa import write_config
from clients.devkit.pki import CLIENTS, SERVICES, UNKNOWN, DevelopmentPki
from clients.devkit.processes import Process
from clients.devkit.witness import DevelopmentWitness

PORTS: Mapping[str, int] = {
    "recognizer": 7401,
    "reads": 7402,
    "hotlist": 7403,
    "access": 7404,
    "audit": 7405,
    "audit-public": 7406,
    "opa": 7480,
    "issuer": 7443,
    "bundles": 7481,
    "witness": 7490,
    "switch": 7491,
} | {
    f"{name}-metrics": 7501 + i
    for i, name in enumerate(("recognizer", "reads", "hotlist", "access", "audit"))
}
AUDIT_ROLE = "plateward_audit_service"
_DATABASES = ("audit", "access", "reads", "hotlist")
_PATIENCE_S = 90.0
_PORT_TRIES = 3
# In the words of gRPC, and of the system for the metrics endpoint.
_PORT_TAKEN = ("Failed to bind to address", "Address already in use")
# Who writes to whom: a service ends before those that its last calls need.
_STOP_ORDER = (
    ("recognizer", "hotlist"),
    ("reads",),
    ("access",),
    ("audit", "opa"),
    ("witness", "issuer", "switch"),
)


class StackError(Exception):
    """A part did not come up; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Row:
    """How a service stands."""

    name: str
    target: str
    pid: int
    health: str


class Stack:
    """The embedded stack of one folder."""

    def __init__(self, root: Path, *, opa: Path | None = None, embedded_issuer: bool = False) -> None:
        self._root = root.resolve()
        self._opa = opa
        self._embedded_issuer = embedded_issuer
        self._pki = DevelopmentPki(self._root / "pki")
        self._issuer = DevelopmentIssuer(self._root / "pki")
        self._sign_in = EmbeddedIssuer(self._root / "issuer", self._pki)
        self._witness = DevelopmentWitness(self._root / "witness", self._root / "keys" / "audit-log.key")
        self._database: postgres.Server | None = None
        self._processes: dict[str, Process] = {}
        self._ports: dict[str, int] = {}
        self._pids = self._root / "pids.json"

    @property
    def steps(self) -> tuple[str, ...]:
        """What ``start_all`` reports, in order."""
        return ("keys and certificates", "PostgreSQL", f"policy engine: {self.policy_engine}", *SERVICES)

    @property
    def policy_engine(self) -> str:
        """Which engine decides."""
        return "OPA server" if self._opa else "in-process (regopy); `make opa` installs the OPA server"

    def start_all(self, report: Callable[[str], None]) -> None:
        """Bring everything up.

        Raises:
            StackError: a part did not come up.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        self._end_leftovers()
        report("keys and certificates")
        self._pki.ensure()
        self._issuer.ensure()
        self._witness.ensure()
        report("PostgreSQL")
        self._start_database()
        report(f"policy engine: {self.policy_engine}")
        wanted = PORTS
        for tries_left in reversed(range(_PORT_TRIES)):
            self._ports = {name: _free_port(port) for name, port in wanted.items()}
            self._write_connection()
            try:
                self._start_services(report)
            except StackError as error:
                # Somebody else took a port between looking and listening: begin again on ports that nobody wants.
                if not any(words in str(error) for words in _PORT_TAKEN) or not tries_left:
                    raise
                self._stop_processes()
                wanted = dict.fromkeys(PORTS, 0)
            else:
                return

    def _start_services(self, report: Callable[[str], None]) -> None:
        self.start_policy_server()
        self._run("witness", self._witness.command(self._target("witness")), {})
        switch = [sys.executable, "-m", "clients.devkit.records_switch", "--listen", self._target("switch")]
        self._run("switch", switch, {})
        if self._embedded_issuer:
            process = self._run("issuer", self._sign_in.command(self._ports["issuer"]), {})
            if not self._sign_in.wait(self._ports["issuer"]):
                raise StackError(f"the issuer did not come up; the end of its log:\n{process.tail()}")
        for name in SERVICES:
            report(name)
            self.start(name)

    def start_policy_server(self) -> None:
        """Start the OPA server, where there is one; it fetches its signed bundle from `access` as soon as that is up."""
        if self._opa:
            address, config = self._target("opa"), write_config(self._root / "keys", self._target("bundles"))
            command = [str(self._opa), "run", "--server", "--addr", address, "--log-level", "error"]
            self._run("opa", [*command, "-c", str(config)], {})

    def start(self, name: str) -> None:
        """Start a service and wait until it is SERVING.

        Raises:
            StackError: it ended, or it took too long.
        """
        process = self._run(name, [sys.executable, "-m", f"services.{name}"], self._environment(name))
        deadline = time.monotonic() + _PATIENCE_S
        while (health := self._health(name)) != "SERVING":
            if process.exit_code is not None:
                raise StackError(
                    f"{name} ended with exit code {process.exit_code}; the end of its log:\n{process.tail()}"
                )
            if time.monotonic() > deadline:
                raise StackError(
                    f"{name} is {health} after {_PATIENCE_S:.0f} s; the end of its log:\n{process.tail()}"
                )
            time.sleep(0.05)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a service."""
        self._processes[name].signal(number)

    def wait(self, name: str, patience_s: float) -> int:
        """Wait for a service that was told to end; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        return self._processes[name].wait(patience_s)

    def enrolment_links(self) -> dict[str, str]:
        """Return member → link with which they set password and second factor, where the embedded issuer runs."""
        return self._sign_in.links(self._ports["issuer"]) if self._embedded_issuer else {}

    def renew_certificate(self, name: str) -> None:
        """Give a service a new certificate; it takes it up by itself."""
        self._pki.renew(name)

    def status(self) -> list[Row]:
        """Return how the services stand."""
        return [
            Row(n, self._target(n), self._processes[n].pid, self._health(n))
            for n in SERVICES
            if n in self._processes
        ]

    @property
    def witness(self) -> DevelopmentWitness:
        """The witness that runs beside the stack."""
        return self._witness

    def database_url(self, name: str) -> str:
        """Return the connection string of the owner of a service's database."""
        assert self._database is not None
        return str(self._database.get_uri(f"plateward_{name}"))

    def stop(self) -> None:
        """Stop everything, services before what they stand on."""
        with _undisturbed():
            self._stop_processes()
            if self._database is not None:
                self._database.cleanup()
                self._database = None
            self._pids.unlink(missing_ok=True)

    # ---------------------------------------------------------------- private

    def _stop_processes(self) -> None:
        for wave in _STOP_ORDER:
            stopping = [p for name in wave if (p := self._processes.pop(name, None)) is not None]
            for process in stopping:
                process.signal(signal.SIGTERM)
            for process in stopping:
                process.stop()

    def _run(self, name: str, command: list[str], environment: Mapping[str, str]) -> Process:
        process = Process(name, command, environment, self._root / "logs" / f"{name}.log")
        self._processes[name] = process
        self._pids.write_text(json.dumps({n: p.pid for n, p in self._processes.items()}), encoding="utf-8")
        return process

    def _target(self, name: str) -> str:
        return f"127.0.0.1:{self._ports[name]}"

    def _environment(self, name: str) -> dict[str, str]:
        root, prefix = self._root, f"PLATEWARD_{name.upper()}_"
        values = {
            "LISTEN": self._target(name),
            "METRICS_LISTEN": self._target(f"{name}-metrics"),
            "TLS_CERT": self._pki.cert(name),
            "TLS_KEY": self._pki.key(name),
            "TLS_CA": self._pki.ca,
            "TOKEN_JWKS": self._issuer.jwks,
            "ACCESS_TARGET": self._target("access"),
            "AUDIT_TARGET": self._target("audit"),
            "AUDIT_LOG_KEYS": json.dumps([self._witness.log_vkey]),
        }
        if self._embedded_issuer:
            del values["TOKEN_JWKS"]
            values |= self._sign_in.settings(self._ports["issuer"])
        if name in _DATABASES:
            values["DATABASE_URL"] = self.database_url(name)
        if name == "audit":
            # The log's service may add and read; who owns the tables is another role.
            values["DATABASE_URL"] = postgres.as_role(self.database_url(name), AUDIT_ROLE)
        own: dict[str, dict[str, object]] = {
            "audit": {
                "MASTER_KEY_FILE": root / "keys" / "audit-master.key",
                "LOG_KEY_FILE": root / "keys" / "audit-log.key",
                "OWNER_DATABASE_URL": self.database_url("audit"),
                "PUBLIC_LISTEN": self._target("audit-public"),
                "WITNESSES": json.dumps([f"{self._witness.vkey} http://{self._target('witness')}"]),
                "WITNESS_QUORUM": 1,
            },
            "access": {
                "SIGNING_KEY_FILE": root / "keys" / "policy-signing.pem",
                "SEED": "elk-grove-pd",
                "READS_TARGET": self._target("reads"),
                "HOTLIST_TARGET": self._target("hotlist"),
            },
            "reads": {
                "CROPS_URL": (root / "crops").as_uri(),
                "KEY_FILE": root / "keys" / "reads.key",
                "CONFIDENTIAL_KEY_FILE": root / "keys" / "reads-confidential.key",
            },
            "hotlist": {
                "READS_TARGET": self._target("reads"),
                "KEY_FILE": root / "keys" / "hotlist.key",
                "SWITCH_URL": f"http://{self._target('switch')}",
                "SWITCH_POLL_SECONDS": 0.25,
            },
            "recognizer": {},
        }
        if self._opa:
            own["access"]["OPA_URL"] = f"http://{self._target('opa')}"
            own["access"]["BUNDLE_LISTEN"] = self._target("bundles")
        (root / "keys").mkdir(mode=0o700, exist_ok=True)
        return {f"{prefix}{key}": str(value) for key, value in (values | own[name]).items()}

    def _write_connection(self) -> None:
        clients = {
            n: {"cert": str(self._pki.cert(n)), "key": str(self._pki.key(n))} for n in (*CLIENTS, UNKNOWN)
        }
        # A service's own identity, for tools that try what only services may call.
        clients["service"] = {"cert": str(self._pki.cert("hotlist")), "key": str(self._pki.key("hotlist"))}
        data = {
            "targets": {n: self._target(n) for n in SERVICES},
            "metrics": {n: self._target(f"{n}-metrics") for n in SERVICES},
            "public_log": f"http://{self._target('audit-public')}",
            "records_switch": f"http://{self._target('switch')}",
            "witness": {"vkey": self._witness.vkey, "state": str(self._witness.state)},
            "ca": str(self._pki.ca),
            "clients": clients,
        }
        if self._embedded_issuer:
            data["issuer"] = {"url": self._sign_in.url(self._ports["issuer"]), "ca": str(self._pki.ca)}
        (self._root / FILE).write_text(json.dumps(data, indent=2), encoding="utf-8")

    def _start_database(self) -> None:
        self._database = postgres.start(self._root / "pg")
        with psycopg.connect(self._database.get_uri(), autocommit=True) as connection:
            for name in _DATABASES:
                wanted = f"plateward_{name}"
                if not connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", (wanted,)
                ).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(wanted)))
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (AUDIT_ROLE,)).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(AUDIT_ROLE)))

    def _health(self, name: str) -> str:
        credentials = grpc.ssl_channel_credentials(
            self._pki.ca.read_bytes(),
            self._pki.key("operator").read_bytes(),
            self._pki.cert("operator").read_bytes(),
        )
        with grpc.secure_channel(
            self._target(name), credentials, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(), timeout=2.0
                )
            except grpc.RpcError as error:
                return str(error.code().name)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    def _end_leftovers(self) -> None:
        """End service processes that an earlier run of this folder left behind."""
        try:
            pids = json.loads(self._pids.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        for name, pid in pids.items():
            command = Path(f"/proc/{pid}/cmdline")
            # A number may be another program's by now: only what this folder would start is ended.
            said = command.read_bytes() if command.exists() else b""
            if f"services.{name}".encode() in said or (
                name.encode() in said and str(self._root).encode() in said
            ):
                os.kill(pid, signal.SIGKILL)
        self._pids.unlink(missing_ok=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C end the clearing up: what is left running would be nobody's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _free_port(wanted: int) -> int:
    """Return a port that is free, the wanted one if possible."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("no free port on 127.0.0.1")
