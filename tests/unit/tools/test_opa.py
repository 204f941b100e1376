"""Installing OPA from a release: only bytes with the published digest, only what runs and says its version."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib.util
import platform
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "opa.py"
RUNS = b"#!/bin/sh\necho 'Version: 1.22.2'\n"

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="names one platform's release"
)


@pytest.fixture
def opa(tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("opa_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.BIN = tmp_path / "bin"
    return tool


@pytest.fixture
def releases(tmp_path: Path, opa: ModuleType) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "releases" / opa.VERSION
    folder.mkdir(parents=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder.parent)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder / "opa_linux_amd64_static"
    server.shutdown()
    server.server_close()


def publish(file: Path, data: bytes, digest: str | None = None) -> None:
    file.write_bytes(data)
    file.with_name(f"{file.name}.sha256").write_text(
        f"{digest or hashlib.sha256(data).hexdigest()}  {file.name}\n"
    )


def test_a_release_with_its_digest_is_installed(opa: ModuleType, releases: tuple[str, Path]) -> None:
    publish(releases[1], RUNS)
    assert opa.download(releases[0]) == str(opa.BIN / "opa")


def test_other_bytes_are_refused(opa: ModuleType, releases: tuple[str, Path]) -> None:
    publish(releases[1], RUNS, digest="0" * 64)
    assert opa.download(releases[0]) is None
    assert not (opa.BIN / "opa").exists()


def test_what_does_not_run_is_removed(opa: ModuleType, releases: tuple[str, Path]) -> None:
    publish(releases[1], b"#!/bin/sh\nexit 3\n")
    assert opa.download(releases[0]) is None
    assert not (opa.BIN / "opa").exists()


def test_no_release_is_no_crash(opa: ModuleType, releases: tuple[str, Path]) -> None:
    assert opa.download(releases[0]) is None
