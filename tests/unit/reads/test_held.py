"""What followers of the reads are told of legal holds."""

from __future__ import annotations

import pytest

from plateward.reads.v1 import reads_pb2
from services.reads.held import find_held
from tests.unit.reads.builders import AGENCY, NOW, accepted, new_read
from tests.unit.reads.test_holds import order


@pytest.mark.req("R-RET-2")
async def test_a_held_read_and_the_case_of_a_hold_are_told_until_it_ends(pool, ingest, holds, call) -> None:
    kept, free = new_read(at=NOW), new_read(at=NOW)
    await ingest.store(AGENCY, [accepted(one, NOW, agency=AGENCY) for one in (kept, free)])
    hold = await holds.place(order(kept.read.read_id, case="26-CR 1187"), call)
    request = reads_pb2.FindHeldRequest(
        agency_id=AGENCY, read_ids=[kept.read.read_id, free.read.read_id], case_numbers=["26-cr1187", "26-9"]
    )
    answer = await find_held(pool, request)
    assert (list(answer.read_ids), list(answer.case_numbers)) == ([kept.read.read_id], ["26-cr1187"])
    request.agency_id = "galt-pd"
    assert await find_held(pool, request) == reads_pb2.FindHeldResponse()
    request.agency_id = AGENCY
    await holds.release(hold.hold_id, "case closed", call)
    assert await find_held(pool, request) == reads_pb2.FindHeldResponse()
