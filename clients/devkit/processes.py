"""One child process with its log: started in a group of its own, watched, and never left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_TAIL_BYTES = 3000
_STOP_PATIENCE_S = 15.0
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask the kernel to end this child when its parent dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _in_main_thread() -> bool:
    # The kernel's "parent" is the thread that forked: a worker thread's end must not end the child.
    return threading.current_thread() is threading.main_thread()


class Process:
    """A child process."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                list(command), env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, preexec_fn=_die_with_parent if _in_main_thread() else None, start_new_session=True,  # noqa: PLW1509 - one prctl, no lock taken
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._popen.poll()

    @property
    def log(self) -> Path:
        """The file that it writes to."""
        return self._log

    def tail(self) -> str:
        """Return the end of its log."""
        data = self._log.read_bytes()[-_TAIL_BYTES:] if self._log.exists() else b""
        return data.decode("utf-8", "replace")

    def signal(self, number: int) -> None:
        """Send a signal; wait for its end when it is SIGKILL."""
        if self.exit_code is None:
            self._popen.send_signal(number)
            if number == signal.SIGKILL:
                self._popen.wait()

    def wait(self, patience_s: float) -> int:
        """Wait for its end; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        return self._popen.wait(patience_s)

    def stop(self) -> None:
        """Ask it to end, then make it."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
