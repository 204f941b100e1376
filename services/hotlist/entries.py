"""Entries of an agency's own list: made by one member, in force once another has approved them.

Rules
-----
1. An entry waits, and matches nothing, until a second person approves it; the creator never can (also a
   constraint of the table).
2. What is on no list (immigration enforcement) is refused, and so is a stop for what never leads to one (``limits.py``).
3. It expires, at most so many days ahead; it can be removed at any time, and then raises nothing more. A partial plate
   (``?`` for an unknown character) is a lead at most.
4. What comes in force raises the version of the entries in its own transaction: a matcher that sees the entry also sees the
   version. A removal raises nothing, since whether an entry is in force is asked of the database: it waits for no import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from plates.index import ANY
from plates.normal import PlateError, normalize
from plateward.common.v1 import errors_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.hotlist.issuers import given
from services.hotlist.limits import is_denied, most_of

OWN_LIST = "local"
_LEAST_KNOWN = 3
# What tells vehicles of one kind apart, and who entered it: as the source writes it.
DESCRIBED = (
    "vin", "make", "model", "model_year", "plate_year", "plate_type", "vehicle_style", "ori", "nic", "oan",
)  # fmt: skip
_INSERT = f"""
INSERT INTO entries (entry_id, agency_id, list_id, plate, state, vehicle_type, colour, category, reason, case_number,
    expires_at, max_action, created_by, created_at, {", ".join(DESCRIBED)})
VALUES ({", ".join(["%s"] * (14 + len(DESCRIBED)))})
"""  # noqa: S608
_REMOVE = """
UPDATE entries e SET removed_by = %(member)s, removed_at = %(now)s, removed_reason = %(reason)s, removed_by_hand = e.source_key <> '',
  removed_version = (SELECT l.version + 1 FROM lists l WHERE l.agency_id = e.agency_id AND l.list_id = e.list_id)
WHERE entry_id = %(entry)s
"""
_OWN = "SELECT * FROM entries WHERE entry_id = %s AND agency_id = ANY(%s) AND removed_at IS NULL FOR UPDATE"
_PAGE = """
SELECT * FROM entries WHERE agency_id = ANY(%s) AND list_id = %s AND removed_at IS NULL AND expires_at > %s
  AND (%s::uuid IS NULL OR entry_id > %s::uuid) ORDER BY entry_id LIMIT %s
"""


class Entries:
    """The table of entries."""

    def __init__(self, pool: Pool, clock: Clock, max_days: int) -> None:
        self._pool = pool
        self._clock = clock
        self._max_days = max_days

    async def create(
        self, entry: hit_pb2.HotlistEntry, *, entry_id: str, agency_id: str, member_id: str
    ) -> hit_pb2.HotlistEntry:
        """Make an entry that waits for its second person.

        Raises:
            PlatewardError: DENIED_BY_POLICY for immigration enforcement; INVALID_ARGUMENT for another list, a plate without
                normal form, a state that is none, a stop for what never leads to one, an expiry out of range.
        """
        now = self._clock.now()
        made = hit_pb2.HotlistEntry()
        made.CopyFrom(entry)
        made.entry_id, made.agency_id, made.created_by, made.approved_by = entry_id, agency_id, member_id, ""
        made.list_id = made.list_id or OWN_LIST
        _within_limits(made)
        made.plate, made.state = _plate(entry.plate), given(entry.state)
        if ANY in made.plate:
            made.max_action = min(made.max_action, hit_pb2.MAX_ACTION_LEAD)
        if made.list_id != OWN_LIST:
            raise _invalid(
                f"Entries are made on the agency's own list ({OWN_LIST!r}); other lists are imported."
            )
        expires_at = instant(made.expires_at)
        if not now < expires_at <= now + timedelta(days=self._max_days):
            raise _invalid(
                f"expires_at must be ahead and at most {self._max_days} days: enter it again when it is still wanted."
            )
        async with self._pool.connection() as connection:
            await connection.execute(
                _INSERT,
                (
                    made.entry_id, agency_id, made.list_id, made.plate, made.state, made.vehicle_type, made.colour,
                    made.category, made.reason, made.case_number, expires_at, made.max_action, member_id, now,
                    *(getattr(made, name) for name in DESCRIBED),
                ),
            )  # fmt: skip
        return made

    async def approve(
        self, entry_id: str, agency_ids: Sequence[str], member_id: str
    ) -> tuple[hit_pb2.HotlistEntry, hit_pb2.HotlistEntry]:
        """Put an entry in force; return it before and after. Approving again changes nothing.

        Raises:
            PlatewardError: NOT_FOUND; DENIED_BY_POLICY when the creator approves, and for immigration enforcement;
                INVALID_ARGUMENT when expired, or a stop for what never leads to one.
        """
        async with self._pool.connection() as connection:
            row = await self._own(connection, entry_id, agency_ids)
            before = entry_of(row)
            if row["approved_by"]:
                return before, before
            if row["created_by"] == member_id:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                    "Who entered a plate cannot approve it: ask a second person.",
                    metadata={"rule": "plateward.second-person"},
                )
            # Again here: it may have waited since before a rule was there.
            _within_limits(before)
            if row["expires_at"] <= self._clock.now():
                raise _invalid("The entry has expired: enter it again if it is still wanted.")
            version = await raise_version(connection)
            await connection.execute(
                "UPDATE entries SET approved_by = %s, approved_at = %s, in_force_since = %s WHERE entry_id = %s",
                (member_id, self._clock.now(), version, entry_id),
            )
        after = hit_pb2.HotlistEntry()
        after.CopyFrom(before)
        after.approved_by = member_id
        return before, after

    async def remove(
        self, entry_id: str, agency_ids: Sequence[str], member_id: str, reason: str
    ) -> hit_pb2.HotlistEntry:
        """Take an entry out, at once; return what it was.

        Of an imported list it stays out until the source says something else of it, or has dropped it in between.

        Raises:
            PlatewardError: NOT_FOUND.
        """
        async with self._pool.connection() as connection:
            row = await self._own(connection, entry_id, agency_ids)
            await connection.execute(
                _REMOVE,
                {"member": member_id, "now": self._clock.now(), "reason": reason, "entry": entry_id},
            )
        return entry_of(row)

    async def page(
        self, agency_ids: Sequence[str], list_id: str, token: str, size: int
    ) -> tuple[list[hit_pb2.HotlistEntry], str]:
        """Return live entries in order of creation, and the token of the next page.

        Raises:
            PlatewardError: CURSOR_INVALID.
        """
        after = _after(token)
        async with self._pool.connection() as connection:
            found = await connection.execute(
                _PAGE,
                (list(agency_ids), list_id or OWN_LIST, self._clock.now(), after, after, size + 1),
            )
            rows = await found.fetchall()
        following = str(rows[size - 1]["entry_id"]) if len(rows) > size else ""
        return [entry_of(row) for row in rows[:size]], following

    @staticmethod
    async def version(connection: AsyncConnection[Any]) -> int:
        """Return the version of the entries."""
        found = await connection.execute("SELECT version FROM entries_version")
        row = await found.fetchone()
        return int(row["version"]) if row is not None else 0

    @staticmethod
    async def _own(
        connection: AsyncConnection[Any], entry_id: str, agency_ids: Sequence[str]
    ) -> Mapping[str, Any]:
        found = await connection.execute(_OWN, (entry_id, list(agency_ids)))
        row: Mapping[str, Any] | None = await found.fetchone()
        if row is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "There is no such entry of your agency: list the entries (ListEntries) for their IDs.",
            )
        return row


def entry_of(row: Mapping[str, Any]) -> hit_pb2.HotlistEntry:
    """Return the entry that a row holds."""
    entry = hit_pb2.HotlistEntry(
        entry_id=str(row["entry_id"]),
        list_id=row["list_id"],
        plate=row["plate"],
        state=row["state"],
        vehicle_type=row["vehicle_type"],
        colour=row["colour"],
        category=row["category"],
        reason=row["reason"],
        case_number=row["case_number"],
        max_action=row["max_action"],
        created_by=row["created_by"],
        approved_by=row["approved_by"],
        agency_id=row["agency_id"],
        **{name: row[name] for name in DESCRIBED},
    )
    entry.expires_at.FromDatetime(row["expires_at"])
    return entry


async def raise_version(connection: AsyncConnection[Any]) -> int:
    """Raise the version of the entries and return it; what comes in force waits for the transaction, so raise it last."""
    found = await connection.execute("UPDATE entries_version SET version = version + 1 RETURNING version")
    row = await found.fetchone()
    return int(row["version"]) if row is not None else 0


def _within_limits(entry: hit_pb2.HotlistEntry) -> None:
    if is_denied(
        (
            entry.category,
            entry.reason,
            entry.case_number,
            entry.make,
            entry.model,
            entry.vehicle_style,
            entry.ori,
            entry.oan,
        )
    ):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
            "No plate is looked for to enforce immigration law (Gov. Code 7284.6): remove it, or, where a crime is meant, "
            "name the crime and its case instead.",
            metadata={"rule": "plateward.no-immigration-entries"},
        )
    if most_of(entry.category, entry.max_action) != entry.max_action:
        raise _invalid(
            f"{entry.category[:64]!r} is never a reason to stop anybody: enter it as a lead, or under the category of the crime."
        )


def _plate(text: str) -> str:
    if ANY in text:
        partial = "".join(text.upper().split()).replace("-", "")
        if len(partial) - partial.count(ANY) < _LEAST_KNOWN:
            raise _invalid(f"A partial plate needs {_LEAST_KNOWN} known characters: it would match too much.")
        return partial
    try:
        return normalize(text)
    except PlateError as error:
        raise _invalid(str(error)) from error


def _after(token: str) -> UUID | None:
    if not token:
        return None
    try:
        return UUID(token)
    except ValueError as error:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_CURSOR_INVALID,
            "The page token is not one of this list: send the last one unchanged, or begin without one.",
        ) from error


def _invalid(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, message)
