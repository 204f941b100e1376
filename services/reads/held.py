"""What followers of the reads are told of legal holds: which reads and cases of an agency a hold in force keeps."""

from __future__ import annotations

from plateward.reads.v1 import reads_pb2
from servicekit.database import Pool

_READS = (
    "SELECT DISTINCT read_id::text AS found FROM hold_reads JOIN holds USING (hold_id) "
    "WHERE holds.agency_id = %s AND released_at IS NULL AND read_id = ANY(%s::uuid[])"
)
# A case number is the same in whatever case and spacing somebody typed it.
_CASES = (
    "SELECT asked AS found FROM unnest(%s::text[]) AS asked WHERE EXISTS (SELECT FROM holds WHERE agency_id = %s "
    "AND released_at IS NULL AND lower(regexp_replace(case_number, '\\s', '', 'g')) = lower(regexp_replace(asked, '\\s', '', 'g')))"
)


async def find_held(pool: Pool, request: reads_pb2.FindHeldRequest) -> reads_pb2.FindHeldResponse:
    """Return what of a request is held."""
    async with pool.connection() as connection:
        reads = await connection.execute(_READS, (request.agency_id, list(request.read_ids)))
        cases = await connection.execute(_CASES, (list(request.case_numbers), request.agency_id))
        return reads_pb2.FindHeldResponse(
            read_ids=[row["found"] for row in await reads.fetchall()],
            case_numbers=[row["found"] for row in await cases.fetchall()],
        )
