"""Refused TLS handshakes, made visible.

A missing or unknown client certificate is refused inside gRPC's C core: Python never sees the call. The core logs it on
standard error when ``GRPC_VERBOSITY`` is INFO. ``watch`` puts a pipe in the place of file descriptor 2, passes every line
on except the core's chatter, and reports each refused handshake (docs/adr/0007).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable

_REFUSED = re.compile(rb"Handshake failed with error \w+: error:[0-9a-f]+:SSL routines:\w+:(?P<why>\w+)")
_CORE = re.compile(
    rb"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (?P<file>[\w.]+):\d+\] |^WARNING: All log messages before absl"
)
_STDERR = 2


def prepare_environment() -> None:
    """Make the C core log handshakes; must run before grpc is first used."""
    os.environ["GRPC_VERBOSITY"] = "INFO"
    os.environ.pop("GRPC_TRACE", None)


def watch(report: Callable[[str], None]) -> None:
    """Read this process's standard error from now on; call ``report`` with the reason of each refused handshake.

    ``report`` runs in a thread of its own.
    """
    real = os.dup(_STDERR)
    read_end, write_end = os.pipe()
    os.dup2(write_end, _STDERR)
    os.close(write_end)
    threading.Thread(target=_pump, args=(read_end, real, report), name="stderr", daemon=True).start()


def _pump(read_end: int, real: int, report: Callable[[str], None]) -> None:
    with os.fdopen(read_end, "rb", buffering=0) as source:
        rest = b""
        while chunk := source.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                _line(line, real, report)


def _line(line: bytes, real: int, report: Callable[[str], None]) -> None:
    if refused := _REFUSED.search(line):
        report(refused["why"].decode())
    core = _CORE.match(line)
    if core is None or line.startswith(b"E"):
        os.write(real, line + b"\n")
