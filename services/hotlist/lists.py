"""Lists and what stands beside their entries: versions, offers between agencies, cleared vehicles.

Rules
-----
1. What an agency sees: its own lists, and those of others that it accepted one by one.
2. A list is offered by its agency and accepted by the other; nothing arrives by itself. A foreign list leads to a lead at most.
3. "Cleared: not this vehicle" is signed by a member. The plate that was mistaken for an entry's raises no hit to verify any
   more; where it is the entry's own plate and state, hits of it are leads at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from psycopg.errors import UniqueViolation

from plates.normal import PlateError, normalize
from plateward.common.v1 import errors_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool
from servicekit.errors import PlatewardError
from services.hotlist.candidates import around
from services.hotlist.entries import OWN_LIST, entry_of
from services.hotlist.issuers import given
from services.hotlist.matching import ListStanding

MOST_DIFFERENT = 2_000
_WATCH_S = 3600.0
_log = structlog.get_logger(__name__)
_LISTS = """
SELECT l.*, coalesce(i.received, 0) AS received, l.agency_id <> %(agency)s AS from_others,
  (SELECT count(*) FROM entries e WHERE e.agency_id = l.agency_id AND e.list_id = l.list_id AND e.removed_at IS NULL
   AND e.approved_by <> '' AND e.expires_at > %(now)s) AS entries
FROM (SELECT agency_id, list_id, source, mapping, as_of, max_action, stale_after_s FROM lists
  UNION ALL SELECT DISTINCT agency_id, list_id, 'entered by members', '', %(now)s::timestamptz, 3, 86400 FROM entries
    WHERE list_id = 'local' AND removed_at IS NULL
  UNION ALL SELECT agency_id, list_id, 'being imported', mapping, as_of, 1, 86400 FROM imports p
    WHERE NOT EXISTS (SELECT 1 FROM lists l WHERE l.agency_id = p.agency_id AND l.list_id = p.list_id)) l
LEFT JOIN imports i ON i.agency_id = l.agency_id AND i.list_id = l.list_id
WHERE l.agency_id = %(agency)s OR EXISTS (SELECT 1 FROM offers o WHERE o.from_agency_id = l.agency_id AND o.list_id = l.list_id
  AND o.to_agency_id = %(agency)s AND o.accepted_by <> '')
ORDER BY l.list_id, l.agency_id
"""
_VERSION = """
SELECT version FROM list_versions WHERE agency_id = %(agency)s AND list_id = %(list)s AND (%(at)s::timestamptz IS NULL OR as_of <= %(at)s)
ORDER BY version DESC OFFSET %(back)s LIMIT 1
"""
_AT = "e.list_version <= %({0})s AND (e.removed_version IS NULL OR e.removed_version > %({0})s)"
_DIFFERENT = f"""
SELECT e.* FROM entries e WHERE e.agency_id = %(agency)s AND e.list_id = %(list)s AND {_AT.format("one")}
  AND NOT (e.list_version <= %(other)s AND (e.removed_version IS NULL OR e.removed_version > %(other)s))
ORDER BY e.source_key LIMIT %(most)s
"""  # noqa: S608


class Lists:
    """The tables of lists, offers and cleared vehicles."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def all(self, agency_id: str) -> list[hotlist_pb2.Hotlist]:
        """Return the lists in force for an agency, with their ages, ordered by ID."""
        now = self._clock.now()
        async with self._pool.connection() as connection:
            found = await connection.execute(_LISTS, {"agency": agency_id, "now": now})
            return [_list(row, now) for row in await found.fetchall()]

    async def watch(self) -> None:
        """Say in the log which lists raise no hits because of their age, every hour, until cancelled."""
        while True:
            try:
                async with self._pool.connection() as connection:
                    around_them = await around(connection)
                for (agency_id, list_id), standing in around_them.lists.items():
                    if standing.is_off(self._clock.now()):
                        _log.warning(
                            "list_matching_off",
                            agency=agency_id,
                            list=list_id,
                            age_s=standing.age_s(self._clock.now()),
                        )
            except UNAVAILABLE:
                _log.warning("database_away")
            await asyncio.sleep(_WATCH_S)

    async def diff(
        self, agency_id: str, list_id: str, older: datetime | None, newer: datetime | None
    ) -> hotlist_pb2.DiffListResponse:
        """Return what changed between the versions at two states of the source; by default the last two.

        Raises:
            PlatewardError: NOT_FOUND; INVALID_ARGUMENT when more changed than an answer holds.
        """
        named: dict[str, Any] = {"agency": agency_id, "list": list_id}
        async with self._pool.connection() as connection:

            async def version(at: datetime | None, back: int) -> int | None:
                found = await connection.execute(_VERSION, named | {"at": at, "back": back})
                row = await found.fetchone()
                return None if row is None else int(row["version"])

            new = await version(newer, 0)
            if new is None:
                raise _missing("There is no such version of a list of your agency: see ListHotlists for IDs.")
            old = (await version(older, 0) or 0) if older is not None else new - 1

            async def only(one: int, other: int) -> Sequence[Mapping[str, Any]]:
                found = await connection.execute(
                    _DIFFERENT, named | {"one": one, "other": other, "most": MOST_DIFFERENT + 1}
                )
                rows = await found.fetchall()
                if len(rows) > MOST_DIFFERENT:
                    raise PlatewardError(
                        errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                        f"More than {MOST_DIFFERENT:,} entries differ: ask for versions nearer to each other; "
                        "the import's answer has the counts.",
                    )
                return rows

            came, went = await only(new, old), await only(old, new)
        before, after = {row["source_key"] for row in went}, {row["source_key"] for row in came}
        return hotlist_pb2.DiffListResponse(
            added=[entry_of(row) for row in came if row["source_key"] not in before],
            removed=[entry_of(row) for row in went if row["source_key"] not in after],
            changed=[entry_of(row) for row in came if row["source_key"] in before],
        )

    async def push(self, offer_id: str, agency_id: str, list_id: str, to: str, member_id: str) -> str:
        """Offer a list; return the offer's ID, the same for the same list and agency.

        Raises:
            PlatewardError: NOT_FOUND, INVALID_ARGUMENT.
        """
        if to == agency_id:
            raise _invalid("A list is offered to another agency.")
        if not any(
            known.list_id == list_id and known.agency_id == agency_id for known in await self.all(agency_id)
        ):
            raise _missing("There is no such list of your agency: see ListHotlists for IDs.")
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "INSERT INTO offers (offer_id, from_agency_id, list_id, to_agency_id, offered_by, offered_at) "
                "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (from_agency_id, list_id, to_agency_id) "
                "DO UPDATE SET offered_by = offers.offered_by RETURNING offer_id",
                (offer_id, agency_id, list_id, to, member_id, self._clock.now()),
            )
            row = await found.fetchone()
        assert row is not None
        return str(row["offer_id"])

    async def accept(self, offer_id: str, agency_id: str, member_id: str) -> hotlist_pb2.Hotlist:
        """Accept an offer made to an agency; return the list, capped at lead.

        Raises:
            PlatewardError: NOT_FOUND.
        """
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "UPDATE offers SET accepted_by = %s, accepted_at = %s WHERE offer_id = %s AND to_agency_id = %s "
                "RETURNING from_agency_id, list_id",
                (member_id, self._clock.now(), offer_id, agency_id),
            )
            row = await found.fetchone()
        if row is None:
            raise _missing("There is no such offer to your agency: ask the offering agency for its ID.")
        for known in await self.all(agency_id):
            if (known.agency_id, known.list_id) == (row["from_agency_id"], row["list_id"]):
                return known
        return hotlist_pb2.Hotlist(
            list_id=row["list_id"], agency_id=row["from_agency_id"], max_action=hit_pb2.MAX_ACTION_LEAD
        )

    async def clear(
        self,
        request: hotlist_pb2.ClearVehicleRequest,
        agency_ids: Sequence[str],
        agency_id: str,
        member_id: str,
    ) -> None:
        """Sign a vehicle off.

        Raises:
            PlatewardError: NOT_FOUND, INVALID_ARGUMENT, ALREADY_EXISTS.
        """
        try:
            plate = normalize(request.plate)
        except PlateError as error:
            raise _invalid(str(error)) from error
        state = given(request.state)
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT plate, state FROM entries e WHERE entry_id = %s AND (agency_id = ANY(%s) OR EXISTS (SELECT 1 FROM offers o "
                "WHERE o.from_agency_id = e.agency_id AND o.list_id = e.list_id AND o.to_agency_id = ANY(%s) AND o.accepted_by <> ''))",
                (request.entry_id, list(agency_ids), list(agency_ids)),
            )
            row = await found.fetchone()
            if row is None:
                raise _missing(
                    "There is no such entry that your agency matches: list the entries for their IDs."
                )
            try:
                await connection.execute(
                    "INSERT INTO cleared (agency_id, entry_plate, entry_state, plate, state, reason, member_id, cleared_at) "
                    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                    (
                        agency_id, row["plate"], row["state"], plate, state, request.reason, member_id,
                        self._clock.now(),
                    ),
                )  # fmt: skip
            except UniqueViolation as error:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_ALREADY_EXISTS, "The vehicle is cleared for this entry already."
                ) from error


def _list(row: Mapping[str, Any], now: datetime) -> hotlist_pb2.Hotlist:
    most = min(row["max_action"], hit_pb2.MAX_ACTION_LEAD) if row["from_others"] else row["max_action"]
    standing = ListStanding(most, row["as_of"], row["stale_after_s"])
    own = row["list_id"] == OWN_LIST
    made = hotlist_pb2.Hotlist(
        list_id=row["list_id"],
        agency_id=row["agency_id"],
        source=row["source"],
        max_age_s=row["stale_after_s"],
        max_action=most,
        entries=row["entries"],
        mapping=row["mapping"],
        import_offset=row["received"],
        list_age_s=0 if own else standing.age_s(now),
        matching_off=not own and standing.is_off(now),
    )
    made.as_of.FromDatetime(row["as_of"])
    return made


def _missing(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_NOT_FOUND, message)


def _invalid(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, message)
