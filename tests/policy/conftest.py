"""Both engines with the shipped bundle: the OPA server as a real process, and regopy."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.devkit.opa import find_opa, write_config
from services.access.bundles import load_or_create_signing_key
from services.access.engines import OpaEngine
from services.access.policy import PolicyBundle, load_bundle, sample_document


@pytest.fixture(scope="session")
def bundle() -> PolicyBundle:
    return load_bundle(sample_document("elk-grove-pd"))


@pytest.fixture(scope="session")
def opa_binary() -> str:
    found = find_opa()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(
                "OPA is missing: `make opa` installs it; in CI the conformance suite must not be skipped"
            )
        pytest.skip("OPA is missing: `make opa` installs it")
    return str(found)


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="session")
def bundles() -> str:
    return free_address()


@pytest.fixture(scope="session")
def opa_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("opa")


@pytest.fixture(scope="session")
def opa_url(opa_binary: str, opa_folder: Path, bundles: str) -> Iterator[str]:
    address = free_address()
    process = subprocess.Popen(
        [
            opa_binary,
            "run",
            "--server",
            "--addr",
            address,
            "--log-level",
            "error",
            "-c",
            str(write_config(opa_folder, bundles)),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def opa_for(opa_url: str, opa_folder: Path, bundles: str) -> AsyncIterator[Any]:
    made: list[OpaEngine] = []
    key = load_or_create_signing_key(opa_folder / "policy-signing.pem")

    async def loaded(bundle: PolicyBundle) -> OpaEngine:
        engine = OpaEngine(opa_url, bundles, key)
        made.append(engine)
        await engine.load(bundle)
        return engine

    yield loaded
    for engine in made:
        await engine.close()


@pytest.fixture
async def opa(opa_for: Any, bundle: PolicyBundle) -> OpaEngine:
    return await opa_for(bundle)  # type: ignore[no-any-return]
