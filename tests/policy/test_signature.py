"""The OPA server takes what this installation signed, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.access.bundles import pack
from services.access.engines import OpaEngine
from services.access.policy import PolicyBundle, load_bundle

PATIENCE_S = 3.0


@pytest.mark.req("R-ACC-8")
@pytest.mark.req("R-ACC-9")
@pytest.mark.parametrize("forgery", ["another key", "a byte changed"])
async def test_a_bundle_that_was_not_signed_here_is_never_decided_by(
    opa_for: Any, bundle: PolicyBundle, forgery: str
) -> None:
    engine: OpaEngine = await opa_for(bundle)
    assert await engine.healthy()
    other = load_bundle(bundle.text + f"\n# {forgery}\n")
    forged = pack(other, ec.generate_private_key(ec.SECP256R1()))
    if forgery == "a byte changed":
        signed = gzip.decompress(pack(other, engine._key))
        forged = gzip.compress(signed.replace(b"ca.sb34-federal", b"ca.sb34-fEderal", 1))
    await engine._bundles.offer(other.version, forged)
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while asyncio.get_running_loop().time() < deadline:
        assert await engine.version() == bundle.version
        await asyncio.sleep(0.1)
    await engine.load(other)
    assert await engine.version() == other.version
