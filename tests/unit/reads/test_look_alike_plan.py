"""Look-alikes of a whole plate are one look in the index of grams, also when the statement is planned without its values."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from services.reads.matching import parse_plate
from services.reads.predicates import arms
from services.reads.schedules import Alive
from services.reads.statements import PLANNED, fenced
from tests.unit.reads.builders import AGENCY, NOW, accepted, decision, new_read

_MANY = """
INSERT INTO reads (agency_id, read_id, seen_at, camera_id, latitude, longitude, plate, plate_key, candidates, state, vehicle_type,
    colour, plate_reading, vehicle_reading, plate_crop, vehicle_crop, model_version, frames)
SELECT agency_id, gen_random_uuid(), seen_at - n * interval '1 second', camera_id, latitude, longitude, text,
    translate(text, 'BDGILOQSZ', '806110052'), candidates, state, vehicle_type, colour, plate_reading, vehicle_reading, plate_crop,
    vehicle_crop, model_version, frames
FROM reads, generate_series(1, 8000) AS n, LATERAL (SELECT upper(substr(md5(n::text), 1, 7)) AS text) AS made
"""


async def plan(pool: Any, plate: str, *, lookalikes: bool) -> str:
    query = parse_plate(plate, lookalikes=lookalikes)
    assert query is not None
    alive = Alive(AGENCY, NOW - timedelta(days=30), NOW - timedelta(days=30), timedelta(days=30))
    window = (NOW - timedelta(days=2), NOW + timedelta(hours=1))
    statement, values = fenced(arms(decision(AGENCY), [alive]), query.all(), None, 51, window)
    numbers = iter(range(1, len(values) + 1))
    numbered = re.sub("%s", lambda _: f"${next(numbers)}", statement)
    async with pool.connection() as connection:
        for setting in re.findall(r"-c (\S+)=(\S+)", PLANNED):
            await connection.execute(f"SET LOCAL {setting[0]} = {setting[1]}")
        found = await connection.execute(f"EXPLAIN (GENERIC_PLAN) {numbered}")
        return "\n".join(row["QUERY PLAN"] for row in await found.fetchall())


@pytest.mark.req("R-SRC-1")
@pytest.mark.parametrize("lookalikes", [False, True])
async def test_a_whole_plate_is_found_by_its_grams_whatever_the_values(
    pool, ingest, lookalikes: bool
) -> None:
    await ingest.store(AGENCY, [accepted(new_read("8ABC123", at=NOW), NOW)])
    async with pool.connection() as connection:
        await connection.execute(_MANY)
        await connection.execute("ANALYZE reads")
    told = await plan(pool, "8ABC123", lookalikes=lookalikes)
    assert re.search(r"Bitmap Index Scan on \S*grams", told), told
    assert told.count("Index Cond: (grams") == told.count("Bitmap Index Scan") == 1, told
    assert "Seq Scan on reads" not in told
