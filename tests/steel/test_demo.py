"""The demo as a newcomer runs it: ends with 0, leaves nothing running, and a second run reuses what is set up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest


def left_running(root: Path) -> list[str]:
    return [
        " ".join(p.info["cmdline"] or [])
        for p in psutil.process_iter(["cmdline"])
        if str(root) in " ".join(p.info["cmdline"] or [])
    ]


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-ACC-2")
@pytest.mark.req("R-ACC-3")
@pytest.mark.req("R-SHR-2")
@pytest.mark.req("R-HOT-2")
@pytest.mark.req("R-AUD-1")
def test_demo_twice(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    for run in ("first", "second"):
        done = subprocess.run(
            [sys.executable, "-m", "clients.cli", "demo", "--once", "--root", str(root)],
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, f"{run} run: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        for rule in ("ca.immigration", "mfa", "training", "out-of-state", "federal", "UNVERIFIED"):
            assert rule in done.stdout, f"{run} run does not show {rule}"
        assert (root / "hit.html").read_text("utf-8").count("data:image/jpeg") == 2
        assert left_running(root) == []
