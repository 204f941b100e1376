"""The spool keeps what it was given, whatever happens to its process."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from clients.gateway.spool import Rejected, Spool, SpoolError

WRITER = """
import asyncio, os, sys
from pathlib import Path
from clients.gateway.spool import Spool
async def main():
    spool = Spool(Path(sys.argv[1]))
    for n in range(100000):
        await spool.add(f"id-{n}", b"body %d" % n)
        os.write(1, b"%d\\n" % n)
asyncio.run(main())
"""


async def ids(spool: Spool) -> list[str]:
    return [i for i, _ in await spool.batch(1000, 10**9)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "cam-1.sqlite"


async def test_an_empty_spool_has_nothing(file: Path) -> None:
    spool = Spool(file)
    assert await spool.batch(10, 100) == []
    assert (spool.depth, await spool.rejected()) == (0, [])
    assert spool.emptied.is_set()
    assert not spool.filled.is_set()
    assert file.stat().st_mode & 0o077 == 0
    spool.close()


async def test_what_was_added_is_there_once_and_in_order_after_a_restart(file: Path) -> None:
    spool = Spool(file)
    for name in ("b", "a", "b", "c"):
        await spool.add(name, name.encode())
    assert spool.depth == 3
    spool.close()
    again = Spool(file)
    assert again.depth == 3
    assert again.filled.is_set()
    assert await again.batch(10, 100) == [("b", b"b"), ("a", b"a"), ("c", b"c")]
    again.close()


@pytest.mark.req("R-REC-4")
async def test_kill_9_loses_nothing_that_was_added(file: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(200)]
    writer.kill()
    writer.wait()
    told += [int(line) for line in writer.stdout.read().split()]
    writer.stdout.close()
    spool = Spool(file)
    kept = await spool.batch(10**6, 10**9)
    assert {f"id-{n}" for n in told} <= {i for i, _ in kept}
    assert all(body == b"body %s" % i.removeprefix("id-").encode() for i, body in kept)
    spool.close()


async def test_a_batch_keeps_its_limits_and_is_never_empty(file: Path) -> None:
    spool = Spool(file)
    for n in range(5):
        await spool.add(str(n), b"x" * 100)
    assert len(await spool.batch(3, 10**6)) == 3
    assert len(await spool.batch(10, 250)) == 2
    assert len(await spool.batch(10, 1)) == 1
    spool.close()


async def test_only_what_was_answered_for_leaves(file: Path) -> None:
    spool = Spool(file)
    for name in "abcd":
        await spool.add(name, b"body of " + name.encode())
    await spool.settle(["a", "unknown"], [Rejected("c", "ERROR_REASON_CAMERA_UNKNOWN", "register it")])
    assert await ids(spool) == ["b", "d"]
    assert spool.depth == 2
    assert await spool.rejected() == [Rejected("c", "ERROR_REASON_CAMERA_UNKNOWN", "register it")]
    spool.close()


async def test_what_was_refused_can_be_sent_again(file: Path) -> None:
    spool = Spool(file)
    await spool.add("a", b"1")
    await spool.settle([], [Rejected("a", "reason", "message")])
    assert spool.emptied.is_set()
    assert await spool.requeue() == 1
    assert await spool.batch(10, 100) == [("a", b"1")]
    assert await spool.rejected() == []
    assert spool.depth == 1
    spool.close()


async def test_a_full_spool_waits_for_room(file: Path) -> None:
    spool = Spool(file, most=2)
    await spool.add("a", b"1")
    await spool.add("b", b"2")
    adding = asyncio.create_task(spool.add("c", b"3"))
    await asyncio.sleep(0.02)
    assert not adding.done()
    await spool.settle(["a"])
    await adding
    assert await ids(spool) == ["b", "c"]
    spool.close()


async def test_a_settle_that_fails_changes_nothing(file: Path) -> None:
    spool = Spool(file)
    await spool.add("a", b"1")
    with pytest.raises(sqlite3.Error):
        await spool.settle(["a"], [Rejected("a", None, "no reason")])  # type: ignore[arg-type]
    assert await ids(spool) == ["a"]
    assert spool.depth == 1
    spool.close()


async def test_a_second_gateway_of_the_same_camera_is_refused(file: Path) -> None:
    spool = Spool(file)
    with pytest.raises(SpoolError, match="end the other gateway"):
        Spool(file)
    spool.close()


async def test_a_file_that_is_no_spool_is_refused(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"something else, long enough to be no database header" * 100)
    with pytest.raises(SpoolError, match="move it away"):
        Spool(file)
