"""The endpoint from which OPA fetches its bundle, as OPA asks it."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from services.access.bundle_server import PATH, BundleServer


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def test_a_bundle_is_given_once_and_the_next_one_at_once() -> None:
    address = free_address()
    server = BundleServer(address)
    await server.offer("v1", b"one")
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://{address}{PATH}"
            async with session.get(url) as first:
                assert (first.status, await first.read(), first.headers["ETag"]) == (200, b"one", '"v1"')
                assert first.content_type == "application/vnd.openpolicyagent.bundles"
            known = {"If-None-Match": '"v1"'}
            async with session.get(url, headers=known) as same:
                assert same.status == 304
            waiting = asyncio.create_task(
                session.get(url, headers=known | {"Prefer": "modes=snapshot,delta;wait=30"})
            )
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await server.offer("v2", b"two")
            async with await asyncio.wait_for(waiting, 2) as second:
                assert (second.status, await second.read()) == (200, b"two")
            async with session.get(url, headers={"If-None-Match": '"v2"', "Prefer": "wait=0"}) as patient:
                assert patient.status == 304
            async with session.get(f"http://{address}/anything") as elsewhere:
                assert elsewhere.status == 404
    finally:
        await server.close()


async def test_an_address_that_is_taken_is_said_in_a_sentence() -> None:
    address = free_address()
    first, second = BundleServer(address), BundleServer(address)
    await first.offer("v1", b"one")
    try:
        with pytest.raises(OSError, match="Failed to bind to address"):
            await second.offer("v1", b"one")
    finally:
        await first.close()
        await second.close()
