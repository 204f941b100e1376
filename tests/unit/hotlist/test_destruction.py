"""Hits are destroyed with a certificate, and what a legal hold keeps stays."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import grpc
import pytest

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, errors_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.certificates import CertificateStore, statement
from servicekit.errors import PlatewardError
from services.hotlist.destruction import Destruction, signing_key
from services.hotlist.keeping import Keeping, Rule
from services.hotlist.matcher import Matcher
from tests.unit.hotlist.builders import AGENCY, NOW, decision, entry, keep_picture, read
from tlog.hashing import leaf_hash, root_from_leaves
from tlog.note import open_note

pytestmark = [pytest.mark.req("R-RET-4"), pytest.mark.req("R-RET-2")]


class Scheduled(Keeping):
    """A schedule that is known."""

    def __init__(self) -> None:
        """Nothing is asked."""

    async def rule(self, agency_id: str) -> Rule | None:
        return Rule(timedelta(days=365), "Policy 462.6", "9f2c4e1a77b0c3d2")


@pytest.fixture
async def raised(pool, clock, entries, hits) -> list[hit_pb2.Hit]:
    """Three hits, a minute apart, of entries with a case each."""
    matcher = Matcher(pool, clock, lambda: str(uuid4()), 0.01, keeping=Scheduled())
    reads = []
    for number in range(3):
        plate = f"8ABC12{number}"
        made = await entries.create(
            entry(plate, case_number=f"26-00{number}"), entry_id=str(uuid4()), agency_id=AGENCY, member_id="m-1042"
        )  # fmt: skip
        await entries.approve(made.entry_id, [AGENCY], "m-1077")
        seen = read(plate, confidences=[1.0] * 7)
        seen.seen_at.FromDatetime(NOW + timedelta(minutes=number))
        reads.append(seen)
    await matcher.take(await matcher.cursor(), reads_pb2.FollowReadsResponse(reads=reads, cursor="1:1"))
    return [hit for _, hit in await hits.after(decision(), 0, 10) if hit.match_kind == "exact"]


async def left(pool) -> set[str]:
    async with pool.connection() as connection:
        found = await connection.execute("SELECT hit_id::text AS hit_id FROM hits")
        return {row["hit_id"] for row in await found.fetchall()}


async def test_destroyed_hits_are_certified_like_reads(pool, clock, raised, destroying, recorded) -> None:
    await keep_picture(pool, raised[0].hit_id)
    clock.time = NOW + timedelta(days=366)
    assert await destroying(Scheduled()).destroy() == 3
    assert await left(pool) == set()
    [certificate] = (await CertificateStore(pool).page(AGENCY, 10, ""))[0]
    ids = sorted(hit.hit_id for hit in raised)
    assert certificate.commitment == root_from_leaves(leaf_hash(one.encode()) for one in ids)
    assert (certificate.kind, certificate.destroyed, certificate.held) == ("hit", 3, 0)
    assert (certificate.schedule, certificate.policy_version) == ("365 d (Policy 462.6)", "9f2c4e1a77b0c3d2")
    assert certificate.range.start.ToDatetime() == NOW.replace(tzinfo=None)
    assert certificate.range.end.ToDatetime() == (
        NOW.replace(tzinfo=None) + timedelta(minutes=2, microseconds=1)
    )
    signed = open_note(certificate.note, [signing_key(bytes(32)).verifier])
    assert signed.text == statement(certificate)
    [event] = recorded
    assert (event.event_id, event.action, event.service) == (
        certificate.certificate_id, action_pb2.ACTION_DESTROY, "hotlist",
    )  # fmt: skip
    assert certificate.receipt.event_id == event.event_id
    # Nothing is due: nothing is certified.
    assert await destroying(Scheduled()).destroy() == 0
    assert len(recorded) == 1


async def test_a_hit_of_a_held_read_or_case_stays_until_the_hold_ends(
    pool, clock, raised, destroying, held, hits
) -> None:
    first, second, third = raised
    held.read_ids, held.cases = {first.read.read_id}, {second.entry.case_number}
    clock.time = NOW + timedelta(days=366)
    destruction = destroying(Scheduled())
    assert await destruction.destroy() == 1
    assert await left(pool) == {first.hit_id, second.hit_id}
    [certificate] = (await CertificateStore(pool).page(AGENCY, 10, ""))[0]
    assert (certificate.destroyed, certificate.held) == (1, 2)
    assert certificate.commitment == root_from_leaves([leaf_hash(third.hit_id.encode())])
    # What is kept for the hold is as invisible as all that has expired.
    assert await hits.after(decision(), 0, 10) == []
    held.read_ids = set()
    assert await destruction.destroy() == 1
    assert await left(pool) == {second.hit_id}
    held.cases = set()
    assert await destruction.destroy() == 1


async def test_while_nobody_can_say_what_is_held_nothing_is_destroyed(
    pool, clock, raised, destroying, held
) -> None:
    held.away = True
    clock.time = NOW + timedelta(days=366)
    with pytest.raises(grpc.aio.AioRpcError):
        await destroying(Scheduled()).destroy()
    assert len(await left(pool)) == 3


async def test_a_certificate_whose_record_is_missing_is_issued_by_the_next_run(
    pool, clock, raised, destroying, recorded
) -> None:
    clock.time = NOW + timedelta(days=366)
    cut_off: Destruction = destroying(Scheduled())

    async def away(event: event_pb2.AuditEvent) -> None:
        raise PlatewardError(errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE, "The audit log is away.")

    cut_off._append = away
    with pytest.raises(PlatewardError):
        await cut_off.destroy()
    assert await left(pool) == set()
    assert (await CertificateStore(pool).page(AGENCY, 10, ""))[0] == []
    clock.time += timedelta(minutes=1)
    assert await destroying(Scheduled()).destroy() == 0
    [certificate] = (await CertificateStore(pool).page(AGENCY, 10, ""))[0]
    assert (certificate.destroyed, len(recorded)) == (3, 1)
