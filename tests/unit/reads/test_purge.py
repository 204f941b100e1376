"""Destruction: three schedules side by side, whole days dropped, pictures gone, certificates that can be checked."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

import pytest

from plateward.common.v1 import errors_pb2
from servicekit.certificates import CertificateStore, statement
from servicekit.errors import PlatewardError
from services.reads import purge_store
from services.reads.crops import held_key
from services.reads.schedules import ScheduleStore
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read
from tests.unit.reads.test_holds import order
from tlog.hashing import leaf_hash, root_from_leaves
from tlog.note import open_note

DAY = timedelta(days=1)


async def _ids(pool, agency: str = AGENCY) -> list[str]:
    async with pool.connection() as connection:
        found = await connection.execute(
            "SELECT read_id::text AS id FROM reads WHERE agency_id = %s", (agency,)
        )
        return sorted(row["id"] for row in await found.fetchall())


def root(names: list[str]) -> bytes:
    return root_from_leaves(leaf_hash(name.encode()) for name in names)


async def fill(ingest, agency: str, ages: list[timedelta], jpeg: bytes = b"") -> list[str]:
    news = [new_read(at=NOW - age, jpeg=jpeg) for age in ages]
    await ingest.store(agency, [accepted(new, NOW, agency=agency, keep=timedelta(days=4000)) for new in news])
    return [new.read.read_id for new in news]


@pytest.mark.req("R-RET-1")
@pytest.mark.req("R-RET-4")
async def test_three_schedules_side_by_side(pool, ingest, purger, retention) -> None:
    ages = [timedelta(minutes=2), timedelta(minutes=4), 20 * DAY, 22.5 * DAY, 29 * DAY, 31.5 * DAY]
    kept = {"elk-grove-pd": 5, "va-pd": 3, "nh-pd": 1}
    ids = {agency: await fill(ingest, agency, ages) for agency in kept}
    for agency, count in kept.items():
        certificates = await purger.run(await retention.schedules(agency))
        assert await _ids(pool, agency) == sorted(ids[agency][:count])
        [certificate] = certificates
        assert certificate.destroyed == len(ages) - count
        assert not certificate.held
    assert {c.schedule for c in certificates} == {"3 minutes (462.4)"}


@pytest.mark.req("R-RET-4")
async def test_a_certificate_commits_to_the_ids_and_stands_in_the_log(
    pool, ingest, purger, retention, key, log
) -> None:
    first = sorted(await fill(ingest, AGENCY, [timedelta(days=33, minutes=n) for n in range(7)]))
    second = sorted(await fill(ingest, AGENCY, [timedelta(days=32, minutes=n) for n in range(6)]))
    [certificate] = await purger.run(await retention.schedules(AGENCY))
    assert certificate.commitment == root(first + second)
    assert certificate.commitment != root(second + first)
    assert certificate.range.start.ToDatetime(UTC) == NOW - timedelta(days=33, minutes=6)
    assert certificate.range.end.ToDatetime(UTC) == NOW - timedelta(days=32) + timedelta(microseconds=1)
    note = open_note(certificate.note, [key.verifier])
    assert note.text == statement(certificate)
    assert "destroyed: 13\n" in note.text
    assert certificate.receipt.event_id == certificate.certificate_id
    listed, token = await CertificateStore(pool).page(AGENCY, 10, "")
    assert (listed, token) == ([certificate], "")
    assert (await CertificateStore(pool).page("galt-pd", 10, ""))[0] == []
    assert await purger.run(await retention.schedules(AGENCY)) == []


async def test_pages_of_certificates(pool, ingest, purger, retention, clock) -> None:
    for n in range(3):
        clock.time = NOW + n * timedelta(minutes=10)
        await fill(ingest, "nh-pd", [timedelta(minutes=5)])
        await purger.run(await retention.schedules("nh-pd"))
    seen, token = [], ""
    while True:
        page, token = await CertificateStore(pool).page("nh-pd", 1, token)
        seen += [c.certificate_id for c in page]
        if not token:
            break
    assert len(set(seen)) == 3
    for token in ("x", "01990e5c", seen[0].upper()):
        with pytest.raises(PlatewardError) as refused:
            await CertificateStore(pool).page("nh-pd", 1, token)
        assert refused.value.reason == errors_pb2.ERROR_REASON_CURSOR_INVALID
    assert seen == sorted(seen, reverse=True)


@pytest.mark.req("R-RET-1")
async def test_pictures_go_with_their_reads_and_crops_by_their_own_schedule(
    pool, ingest, purger, retention, access, tmp_path: Path, search
) -> None:
    def pictures() -> int:
        return sum(1 for file in (tmp_path / "crops").rglob("*") if file.is_file())

    old = await fill(ingest, AGENCY, [timedelta(days=33)], JPEG)
    middle = await fill(ingest, AGENCY, [timedelta(days=12)], JPEG)
    await fill(ingest, AGENCY, [timedelta(days=1)], JPEG)
    await fill(ingest, "va-pd", [timedelta(days=1)], JPEG)
    assert pictures() == 4
    reads, crops = await purger.run(await retention.schedules(AGENCY))
    assert (reads.kind, reads.destroyed, crops.kind, crops.destroyed) == ("read", 1, "crop", 1)
    assert crops.commitment == root([f"{old[0]}-plate"])
    assert pictures() == 3
    access.publish(AGENCY, read=timedelta(days=30), crop=timedelta(days=7))
    [crops] = await purger.run(await retention.schedules(AGENCY))
    assert (crops.kind, crops.destroyed, crops.schedule) == ("crop", 1, "7 days (462.4)")
    assert crops.commitment == root([f"{middle[0]}-plate"])
    assert pictures() == 2
    assert len(await _ids(pool)) == 2
    assert await purger.run(await retention.schedules(AGENCY)) == []
    access.publish(AGENCY, read=timedelta(days=5), crop=timedelta(days=5))
    [reads] = await purger.run(await retention.schedules(AGENCY))
    # Its crop has its certificate already.
    assert (reads.kind, reads.destroyed) == ("read", 1)


@pytest.mark.req("R-RET-1")
async def test_a_shortened_policy_destroys_what_is_stored(pool, ingest, purger, retention, access) -> None:
    ids = await fill(ingest, AGENCY, [timedelta(days=n) for n in (1, 10, 20)])
    assert await purger.run(await retention.schedules(AGENCY)) == []
    access.publish(AGENCY, read=timedelta(days=15))
    assert [c.destroyed for c in await purger.preview(await retention.schedules(AGENCY))] == [1]
    [certificate] = await purger.run(await retention.schedules(AGENCY))
    assert (certificate.destroyed, certificate.policy_version) == (1, "2")
    access.publish(AGENCY, read=timedelta(minutes=3))
    [certificate] = await purger.run(await retention.schedules(AGENCY))
    assert certificate.commitment == root([ids[1], ids[0]])
    assert await _ids(pool) == []


async def test_the_partition_goes_and_comes_again(pool, ingest, purger, retention, access) -> None:
    await fill(ingest, AGENCY, [timedelta(days=33)])
    await purger.run(await retention.schedules(AGENCY))
    async with pool.connection() as connection:
        found = await connection.execute("SELECT (SELECT count(*) FROM read_partitions) AS n, (SELECT count(*) FROM pg_inherits "
            "WHERE inhparent = 'reads'::regclass) AS made")  # fmt: skip
        assert tuple((await found.fetchone()).values()) == (0, 0)
    access.publish(AGENCY, read=timedelta(days=40))
    await fill(ingest, AGENCY, [timedelta(days=33)])
    assert len(await _ids(pool)) == 1


class CutError(Exception):
    """The process is killed here."""


@pytest.mark.req("R-RET-4")
@pytest.mark.parametrize("after", range(6))
async def test_a_purge_that_is_cut_off_anywhere_is_resumed_and_adds_up(
    pool, ingest, purger, retention, monkeypatch, tmp_path: Path, after: int
) -> None:
    ids = await fill(ingest, AGENCY, [timedelta(days=n, minutes=n) for n in (33, 34, 35, 1)], JPEG)
    steps = iter(range(100))

    def cutting(function):
        async def cut(*arguments, **named):
            if next(steps) == after:
                raise CutError
            return await function(*arguments, **named)

        return cut

    with monkeypatch.context() as patched:
        for name in ("drop_day", "delete_released", "doomed", "results", "end"):
            patched.setattr(purge_store, name, cutting(getattr(purge_store, name)))
        with pytest.raises(CutError):
            await purger.run(await retention.schedules(AGENCY))
    certificates = await purger.run(await retention.schedules(AGENCY))
    of_reads = [c for c in certificates if c.kind == "read"]
    assert sum(c.destroyed for c in of_reads) == 3
    assert sum(c.destroyed for c in certificates if c.kind == "crop") == 3
    assert await _ids(pool) == [ids[3]]
    assert sum(1 for file in (tmp_path / "crops").rglob("*") if file.is_file()) == 1
    days = sorted(zip((33, 34, 35), ids[:3], strict=True), reverse=True)
    expected, names = [], [name for _, name in days]
    for certificate in of_reads:
        expected.append(root(names[: certificate.destroyed]))
        names = names[certificate.destroyed :]
    assert [c.commitment for c in of_reads] == expected


async def test_nothing_is_certified_without_its_record(
    pool, ingest, clock, crops, records, key, retention, monkeypatch
) -> None:
    from services.reads.purge import Purger

    purger = Purger(pool, clock, crops, records, key)
    await fill(ingest, AGENCY, [timedelta(days=33)])

    async def away(*_arguments, **_named):
        raise PlatewardError(errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE, "away")

    with monkeypatch.context() as patched:
        patched.setattr(type(records), "system", away)
        with pytest.raises(PlatewardError):
            await purger.run(await retention.schedules(AGENCY))
    assert (await CertificateStore(pool).page(AGENCY, 10, ""))[0] == []
    [certificate] = await purger.run(await retention.schedules(AGENCY))
    assert certificate.destroyed == 1


async def test_two_replicas_do_not_destroy_side_by_side(pool, purger, retention) -> None:
    schedules = await retention.schedules(AGENCY)
    async with purger._alone(AGENCY) as connection:
        assert connection is not None
        assert await purger.run(schedules) == []
    assert await ScheduleStore(pool).agencies() == [AGENCY]


@pytest.mark.req("R-RET-4")
async def test_pictures_of_held_reads_are_certified_as_what_became_of_them(
    pool, ingest, purger, retention, access, clock, holds, call, crops
) -> None:
    """A hold that came after the end of the pictures' own schedule keeps none; one that was released keeps none any more."""
    late, released, kept = (new_read(at=NOW - timedelta(minutes=n), jpeg=JPEG) for n in range(3))
    await ingest.store(AGENCY, [accepted(new, NOW) for new in (late, released, kept)])
    gone = await holds.place(order(released.read.read_id), call)
    await holds.place(order(kept.read.read_id, case="26-CR-88"), call)
    await holds.release(gone.hold_id, "over", call)
    access.publish(AGENCY, read=timedelta(days=30), crop=timedelta(hours=1))
    clock.time = NOW + timedelta(hours=2)
    await holds.place(order(late.read.read_id, case="26-CR-90"), call)
    [pictures] = await purger.run(await retention.schedules(AGENCY))
    assert (pictures.kind, pictures.destroyed, pictures.held) == ("crop", 2, 1)
    names = sorted(f"{new.read.read_id}-plate" for new in (late, released))
    assert pictures.commitment == root(names)
    assert await crops.get(held_key(AGENCY, kept.read.read_id, "plate")) == JPEG
    assert await crops.get(held_key(AGENCY, released.read.read_id, "plate")) is None
    # What became of the reads is certified later, and no picture a second time.
    clock.time = NOW + timedelta(days=60)
    [reads] = [c for c in await purger.run(await retention.schedules(AGENCY)) if c.kind == "read"]
    assert (reads.destroyed, reads.held) == (1, 2)
