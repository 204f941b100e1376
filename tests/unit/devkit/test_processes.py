"""A child process is started, watched and ended, willing or not."""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from clients.devkit import processes
from clients.devkit.processes import Process
from clients.devkit.stack import _free_port

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def started(tmp_path: Path, code: str) -> Process:
    process = Process(
        "child", [sys.executable, "-c", code], {"CHILD": "yes"}, tmp_path / "logs" / "child.log"
    )
    deadline = time.monotonic() + 10
    while "up" not in process.tail() and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def test_it_runs_with_its_environment_and_log_and_ends_when_asked(tmp_path: Path) -> None:
    process = started(
        tmp_path, "import os, time; print('up', os.environ['CHILD'], flush=True); time.sleep(60)"
    )
    assert process.exit_code is None
    assert "up yes" in process.tail()
    process.stop()
    assert process.exit_code == -signal.SIGTERM
    process.stop()


def test_one_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_STOP_PATIENCE_S", 0.2)
    process = started(tmp_path, STUBBORN)
    process.stop()
    assert process.exit_code == -signal.SIGKILL


def test_kill_waits_for_the_end(tmp_path: Path) -> None:
    process = started(tmp_path, STUBBORN)
    process.signal(signal.SIGKILL)
    assert process.exit_code == -signal.SIGKILL


def test_a_busy_port_is_replaced() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert _free_port(taken) != taken
    assert _free_port(taken) == taken
