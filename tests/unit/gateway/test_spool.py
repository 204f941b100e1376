"""The spool keeps what it was given, whatever happens to its process."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from datetime import timedelta
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


# ---------------------------------------------------------------- what retention refuses, size, sealing

PLATE = b"8ABC123"


def raw(file: Path) -> bytes:
    """All that lies on the disk of a spool, its log included, but for its key."""
    return b"".join(path.read_bytes() for path in file.parent.iterdir() if not path.name.endswith(".key"))


@pytest.mark.req("R-RET-1")
async def test_of_what_retention_refuses_no_plate_and_no_picture_stays(file: Path) -> None:
    spool = Spool(file)
    await spool.add("old", PLATE)
    await spool.add("other", b"9XYZ111")
    old = Rejected(
        "old", "ERROR_REASON_TIME_OUT_OF_RANGE", f"{PLATE!r} is too old", "cam-1", "2026-10-01T00:00:00"
    )
    await spool.settle(["other"], [old])
    [kept] = await spool.rejected()
    assert (kept.id, kept.camera, kept.seen_at, kept.reason) == (old.id, old.camera, old.seen_at, old.reason)
    assert PLATE.decode() not in kept.message
    assert await spool.requeue() == 0
    assert await spool.batch(10, 10**9) == []
    spool.close()
    # And no sealed body of it either: what is left of the file is smaller than any body would be.
    database = sqlite3.connect(file)
    assert database.execute(
        "SELECT (SELECT count(*) FROM waiting), (SELECT count(*) FROM rejected)"
    ).fetchone() == (0, 0)
    database.close()


@pytest.mark.req("R-RET-1")
async def test_the_body_of_what_is_too_old_is_gone_from_the_table_at_once(file: Path) -> None:
    spool = Spool(file)
    await spool.add("old", PLATE * 1000)
    await spool.settle([], [Rejected("old", "ERROR_REASON_TIME_OUT_OF_RANGE", "too old")])
    spool.close()
    database = sqlite3.connect(file)
    assert database.execute("SELECT id, length(body) FROM rejected").fetchall() == [("old", 0)]
    database.close()


@pytest.mark.req("R-RET-1")
async def test_what_was_refused_goes_by_age_and_is_counted_over_restarts(file: Path) -> None:
    spool = Spool(file, keep_refused=timedelta(hours=1))
    for name in "abc":
        await spool.add(name, PLATE)
    await spool.settle([], [Rejected(name, "ERROR_REASON_CAMERA_UNKNOWN", "register it") for name in "abc"])
    assert len(await spool.rejected()) == 3
    spool.close()
    database = sqlite3.connect(file)
    database.execute(
        "UPDATE rejected SET at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours') WHERE id < 'c'"
    )
    database.commit()
    database.close()
    for _ in range(2):
        spool = Spool(file, keep_refused=timedelta(hours=1))
        assert [r.id for r in await spool.rejected()] == ["c"]
        assert spool.let_go == 2
        spool.close()


async def test_what_was_refused_keeps_to_its_share_and_the_oldest_goes_first(file: Path) -> None:
    spool = Spool(file, most_bytes=40_000)
    for n in range(9):
        await spool.add(f"{n}", b"x" * 3000)
        await spool.settle([], [Rejected(f"{n}", "ERROR_REASON_CAMERA_UNKNOWN", "register it")])
    assert [r.id for r in await spool.rejected()] == ["6", "7", "8"]
    assert spool.let_go == 6
    spool.close()


async def test_a_spool_full_by_bytes_waits_and_one_that_is_empty_takes_any(file: Path) -> None:
    spool = Spool(file, most_bytes=1000)
    await spool.add("big", b"x" * 5000)
    adding = asyncio.create_task(spool.add("next", b"y" * 500))
    await asyncio.sleep(0.02)
    assert not adding.done()
    await spool.settle(["big"])
    await adding
    spool.close()
    spool = Spool(file, most_bytes=1000)
    waits = asyncio.create_task(spool.add("more", b"z" * 500))
    await asyncio.sleep(0.02)
    assert not waits.done()
    waits.cancel()
    assert await ids(spool) == ["next"]
    spool.close()


async def test_a_full_disk_loses_nothing_that_waits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.gateway.spool._FULL_RETRY_S", 0.02)
    spool = Spool(file)
    for n in range(4):
        await spool.add(f"refused-{n}", b"r" * 20_000)
    await spool.settle([], [Rejected(f"refused-{n}", "ERROR_REASON_CAMERA_UNKNOWN", "") for n in range(4)])
    await spool.add("a", b"1" * 1000)
    spool._database.execute("VACUUM")
    pages = spool._database.execute("PRAGMA page_count").fetchone()[0]
    spool._database.execute(f"PRAGMA max_page_count = {pages + 2}")
    # What was refused makes room first, and is counted.
    await asyncio.wait_for(spool.add("b", b"2" * 20_000), 5)
    assert spool.let_go == 4
    assert spool.trouble == ""
    full = asyncio.create_task(spool.add("c", b"3" * 200_000))
    while not spool.trouble:
        await asyncio.sleep(0.01)
    assert not full.done()
    assert await ids(spool) == ["a", "b"]
    await spool.settle(["a"])
    spool._database.execute(f"PRAGMA max_page_count = {pages + 500}")
    await asyncio.wait_for(full, 5)
    assert await ids(spool) == ["b", "c"]
    assert (spool.depth, spool.trouble) == (2, "")
    spool.close()


async def test_nothing_lies_on_the_disk_in_clear(file: Path) -> None:
    spool = Spool(file)
    key = file.with_name(f"{file.name}.key")
    assert key.stat().st_mode & 0o777 == 0o600
    await spool.add("a", PLATE)
    await spool.add("b", PLATE)
    await spool.settle([], [Rejected("b", "ERROR_REASON_CAMERA_UNKNOWN", "register it")])
    assert PLATE not in raw(file)
    spool.close()
    assert PLATE not in raw(file)
    kept = key.read_bytes()
    for other in (None, bytes(32), b"short"):
        key.unlink(missing_ok=True)
        if other is not None:
            key.write_bytes(other)
        with pytest.raises(SpoolError, match="key"):
            Spool(file)
    key.write_bytes(kept)
    spool = Spool(file)
    assert await spool.batch(10, 10**9) == [("a", PLATE)]
    spool.close()


async def test_a_spool_of_an_earlier_version_is_sealed_and_scrubbed(file: Path) -> None:
    file.parent.mkdir()
    before = sqlite3.connect(file)
    before.executescript(
        """CREATE TABLE waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
        CREATE TABLE rejected (id TEXT PRIMARY KEY, reason TEXT NOT NULL, message TEXT NOT NULL, body BLOB NOT NULL,
          at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));"""
    )
    before.execute("INSERT INTO waiting (id, body) VALUES ('a', ?), ('b', ?)", (PLATE, PLATE * 3000))
    before.execute(
        "INSERT INTO rejected (id, reason, message, body) VALUES ('old', 'ERROR_REASON_TIME_OUT_OF_RANGE', 'm', ?), "
        "('other', 'ERROR_REASON_CAMERA_UNKNOWN', 'm', ?)",
        (PLATE * 2000, PLATE),
    )
    before.commit()
    before.close()
    assert PLATE in raw(file)
    spool = Spool(file)
    assert PLATE not in raw(file)
    assert await spool.batch(10, 10**9) == [("a", PLATE), ("b", PLATE * 3000)]
    assert await spool.requeue() == 1
    assert dict(await spool.batch(10, 10**9))["other"] == PLATE
    spool.close()


async def test_a_body_that_the_disk_spoilt_is_set_apart(file: Path) -> None:
    spool = Spool(file)
    for name in "abc":
        await spool.add(name, PLATE)
    spool._database.execute("UPDATE waiting SET body = zeroblob(64) WHERE id = 'a'")
    assert await spool.batch(1, 10**9) == [("b", PLATE)]
    assert [(r.id, r.reason) for r in await spool.rejected()] == [("a", "SPOOL_DAMAGED")]
    spool.close()
