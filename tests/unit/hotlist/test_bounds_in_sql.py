"""Obligations are predicates of the queries for hits: what a decision does not allow never leaves the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from plateward.common.v1 import decision_pb2, types_pb2
from plateward.common.v1 import errors_pb2 as e
from plateward.hotlist.v1 import hit_pb2
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from services.hotlist import states
from services.hotlist.hits import Hits, Writes
from tests.common.witness import Witness, witnessed
from tests.unit.hotlist.builders import AGENCY, NOW, OFFICER, decision, entry, read

HOUR = timedelta(hours=1)
# The obligation that a planted hit breaks → camera, hours ago, agency.
PLANTED = {
    "": ("cam-1", 2, AGENCY),
    "agency_ids": ("cam-1", 2, "galt-pd"),
    "camera_ids": ("cam-2", 2, AGENCY),
    "not_before": ("cam-1", 11, AGENCY),
    "not_after": ("cam-1", 0.5, AGENCY),
}


def stamp(at: Any) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


def obligations(**dropped: bool) -> decision_pb2.Decision:
    everything: dict[str, Any] = {
        "camera_ids": ["cam-1"],
        "not_before": stamp(NOW - 10 * HOUR),
        "not_after": stamp(NOW - HOUR),
    }
    kept = {name: value for name, value in everything.items() if not dropped.get(name)}
    return decision(AGENCY, *(["galt-pd"] if dropped.get("agency_ids") else []), **kept)


@pytest.fixture
async def planted(pool: Pool, entries: Any) -> dict[str, str]:
    """Obligation → ID of the hit that breaks it, and nothing else; "" is the one that breaks none."""
    wanted = entry()
    await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    await entries.approve(wanted.entry_id, [AGENCY], "m-1077")
    ids = {}
    for number, (broken, (camera, hours, agency)) in enumerate(PLANTED.items()):
        hit = hit_pb2.Hit(
            hit_id=f"01990e5c-7c2a-7d10-9a31-0c1f6f6cf0a{number}", agency_id=agency, entry=wanted,
            read=read(agency=agency), state=hit_pb2.HIT_STATE_RAISED, max_action=hit_pb2.MAX_ACTION_STOP,
        )  # fmt: skip
        hit.read.camera_id = camera
        hit.read.seen_at.FromDatetime(NOW - hours * HOUR)
        hit.raised_at.FromDatetime(NOW - hours * HOUR)
        async with pool.connection() as connection:
            assert await Hits.insert(connection, hit)
        ids[broken] = hit.hit_id
    return ids


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Witness]:
    with witnessed(monkeypatch) as watching:
        yield watching


@pytest.mark.req("R-SHR-1")
async def test_lists_and_streams_send_nothing_forbidden(
    hits: Hits, planted: dict[str, str], witness: Witness
) -> None:
    listed, _ = await hits.page(obligations(), hit_pb2.HIT_STATE_UNSPECIFIED, types_pb2.PageRequest())
    assert [hit.hit_id for hit in listed] == [planted[""]]
    streamed = await hits.after(obligations(), 0, 100)
    assert [hit.hit_id for _, hit in streamed] == [planted[""]]
    assert witness.about("hits"), "no query was seen"
    assert witness.came(planted.values()) == {planted[""]}


@pytest.mark.req("R-SHR-1")
@pytest.mark.parametrize("broken", [b for b in PLANTED if b])
async def test_each_obligation_is_what_holds_its_hit_back(
    hits: Hits, planted: dict[str, str], witness: Witness, broken: str
) -> None:
    """Without it the hit comes: the test above can fail, and for this obligation."""
    await hits.after(obligations(**{broken: True}), 0, 100)
    assert witness.came(planted.values()) == {planted[""], planted[broken]}


@pytest.mark.req("R-SHR-1")
async def test_what_one_owner_agreed_to_opens_nothing_of_another(
    hits: Hits, planted: dict[str, str], witness: Witness
) -> None:
    allowed = decision(AGENCY, "galt-pd", not_after=stamp(NOW - HOUR))
    for agency, cameras, hours in ((AGENCY, ["cam-2"], 20), ("galt-pd", ["cam-1"], 1.5)):
        scope = allowed.obligations.scopes.add(agency_id=agency, camera_ids=cameras)
        scope.not_before.FromDatetime(NOW - hours * HOUR)
    await hits.after(allowed, 0, 100)
    # Of the agency's own only cam-2; the other's hit on cam-1 is older than its agreement reaches.
    assert witness.came(planted.values()) == {planted["camera_ids"]}
    allowed.obligations.scopes[1].not_before.FromDatetime(NOW - 3 * HOUR)
    await hits.after(allowed, 0, 100)
    assert witness.came(planted.values()) == {planted["camera_ids"], planted["agency_ids"]}


@pytest.mark.req("R-SHR-1")
async def test_a_step_on_a_forbidden_hit_does_not_even_read_it(
    hits: Hits, planted: dict[str, str], witness: Witness
) -> None:
    for broken, hit_id in planted.items():
        if not broken:
            continue
        with pytest.raises(PlatewardError) as caught:
            await hits.step(hit_id, obligations(), OFFICER, lambda h: states.claim(h, "m-1042"), Writes())
        assert caught.value.reason == e.ERROR_REASON_NOT_FOUND
    assert witness.came(planted.values()) == set()
