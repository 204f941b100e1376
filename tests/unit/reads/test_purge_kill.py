"""``kill -9`` of a process in the middle of a purge: what it did is done, the next one goes on, certificates add up."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plateward.reads.v1 import reads_pb2
from tests.common.purging import purge
from tests.unit.reads.builders import AGENCY, JPEG, accepted, new_read

DAYS, EACH = 10, 12


@pytest.mark.req("R-RET-4")
async def test_kill_in_a_purge(pool, ingest, database_url: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for day in range(DAYS):
        news = [new_read(at=now - timedelta(days=32 + day, minutes=n), jpeg=JPEG) for n in range(EACH)]
        await ingest.store(AGENCY, [accepted(new, now, keep=timedelta(days=400)) for new in news])
    folder, killed = str(tmp_path / "crops"), 0
    for delay in (0.0, 0.004, 0.008, 0.015, 0.03, 0.05):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.common.purging",
            database_url,
            folder,
            AGENCY,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(delay + random.random() * 0.005)
        if process.returncode is None:
            process.kill()
        killed += await process.wait() == -9
    await purge(database_url, folder, AGENCY)
    async with pool.connection() as connection:
        rows = await (await connection.execute("SELECT document FROM certificates")).fetchall()
        left = await (await connection.execute("SELECT (SELECT count(*) FROM reads) + (SELECT count(*) FROM purges) + "
            "(SELECT count(*) FROM doomed_blobs) AS n")).fetchone()  # fmt: skip
    certificates = [reads_pb2.Certificate.FromString(row["document"]) for row in rows]
    for kind in ("read", "crop"):
        assert sum(c.destroyed for c in certificates if c.kind == kind) == DAYS * EACH
    assert left["n"] == 0
    assert not [file for file in Path(folder).rglob("*") if file.is_file()]
    assert killed
