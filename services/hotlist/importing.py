"""Imports of lists: received line by line into a staging table, swapped in at once, told apart from the version before.

Rules
-----
1. An import goes on from the end of the last line that was received; what comes again is passed over.
2. Only what is complete is swapped in: until then the version before is in force.
3. The swap removes first, in a transaction of its own: what the source has dropped matches no more even when the second
   half fails. Added and changed entries come in force together, and a changed one is never absent in between. What others
   wait for, rows of entries and the entries' version, is taken last: removals and approvals go on beside a swap.
4. An older state of the source never replaces a newer one.
5. Which lists are official extracts is the operator's word, not the importing member's: nobody has looked at the rows of any
   other, so they are leads at most and expire, whatever mapping reads them.
6. What a member has taken out stays out, and is counted, while the source says the same of it. When the source says something
   else, or has dropped it in between, it is the source's again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterable, Collection
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from plateward.common.v1 import errors_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.hotlist.entries import DESCRIBED, OWN_LIST, raise_version
from services.hotlist.limits import OFFICIAL_LISTS
from services.hotlist.mapping import DroppedError, MappingUnknownError, Row, Source, source

_DAY_S = 86_400
_LONGEST_LINE = 16_384
_LIST = "agency_id = %(agency)s AND list_id = %(list)s"
_HAVE = "e.agency_id = %(agency)s AND e.list_id = %(list)s AND e.removed_at IS NULL"
_COLUMNS = f"plate, state, vehicle_type, colour, category, reason, case_number, expires_at, max_action, {', '.join(DESCRIBED)}"
_COPY = f"COPY import_rows (agency_id, list_id, line, source_key, digest, {_COLUMNS}) FROM STDIN"
_TWICE = f"""
DELETE FROM import_rows r USING (SELECT source_key, max(line) AS line FROM import_rows WHERE {_LIST} GROUP BY source_key HAVING count(*) > 1) AS last
WHERE r.agency_id = %(agency)s AND r.list_id = %(list)s AND r.source_key = last.source_key AND r.line < last.line
"""  # noqa: S608
_GONE = f"""
UPDATE entries e SET removed_by = %(member)s, removed_at = %(now)s, removed_reason = 'dropped by the source', removed_version = %(version)s
WHERE {_HAVE} AND NOT EXISTS (SELECT 1 FROM import_rows r
  WHERE r.agency_id = e.agency_id AND r.list_id = e.list_id AND r.source_key = e.source_key)
"""  # noqa: S608
_CHANGED = f"""
UPDATE entries e SET removed_by = %(member)s, removed_at = %(now)s, removed_reason = 'changed by the source', removed_version = %(version)s
FROM import_rows r WHERE {_HAVE} AND r.agency_id = e.agency_id AND r.list_id = e.list_id AND r.source_key = e.source_key
  AND r.digest <> e.digest AND e.list_version < %(version)s
"""  # noqa: S608
_PROLONGED = f"""
UPDATE entries e SET expires_at = r.expires_at
FROM import_rows r WHERE {_HAVE} AND r.agency_id = e.agency_id AND r.list_id = e.list_id AND r.source_key = e.source_key
  AND r.digest = e.digest AND r.expires_at <> e.expires_at
"""  # noqa: S608
_FORGOTTEN = """
UPDATE entries e SET removed_by_hand = false WHERE e.agency_id = %(agency)s AND e.list_id = %(list)s AND e.removed_by_hand
  AND NOT EXISTS (SELECT 1 FROM import_rows r
    WHERE r.agency_id = e.agency_id AND r.list_id = e.list_id AND r.source_key = e.source_key AND e.digest IN (r.digest, ''))
"""
_ADOPTED = """
UPDATE entries e SET digest = r.digest FROM import_rows r WHERE e.agency_id = %(agency)s AND e.list_id = %(list)s AND e.removed_by_hand
  AND e.digest = '' AND r.agency_id = e.agency_id AND r.list_id = e.list_id AND r.source_key = e.source_key
"""
_OF_LIST = "r.agency_id = %(agency)s AND r.list_id = %(list)s"
_OUT = """EXISTS (SELECT 1 FROM entries h WHERE h.agency_id = %(agency)s AND h.list_id = %(list)s AND h.removed_by_hand
  AND h.source_key = r.source_key AND h.digest IN (r.digest, ''))"""
_NEW = f"""
INSERT INTO entries (entry_id, agency_id, list_id, {_COLUMNS}, created_by, created_at, approved_by, approved_at,
  source_key, digest, list_version, in_force_since)
SELECT gen_random_uuid(), r.agency_id, r.list_id, {_COLUMNS.replace("max_action", "least(r.max_action, %(most)s)")}, 'source', %(now)s,
  %(member)s, %(now)s, r.source_key, r.digest, %(version)s, -1
FROM import_rows r WHERE {_OF_LIST} AND NOT {_OUT}
  AND NOT EXISTS (SELECT 1 FROM entries e WHERE {_HAVE} AND e.source_key = r.source_key AND e.digest = r.digest)
"""  # noqa: S608
_KEPT_OUT = f"SELECT count(*) AS rows FROM import_rows r WHERE {_OF_LIST} AND {_OUT}"  # noqa: S608
# Where two calls send the same file, the one that comes second to a line is told.
_RECEIVED = f"""
UPDATE imports SET header = CASE WHEN header = '' THEN %(header)s ELSE header END, received = %(received)s, rows = %(rows)s,
  dropped = %(dropped)s WHERE {_LIST} AND received = %(before)s
"""  # noqa: S608
_ANOTHER = (
    "Another call imports this list too: see ListHotlists for where it stands, and send it again if need be."
)
_MINE = f"SELECT 1 FROM imports WHERE {_LIST} AND as_of = %(as_of)s AND mapping = %(mapping)s FOR UPDATE"  # noqa: S608
# A table that was empty when it was last counted is else looped over once a row.
_WHOLE_TABLES = "SET LOCAL enable_nestloop = off"
_PUT_LIST = """
INSERT INTO lists (agency_id, list_id, source, mapping, as_of, stale_after_s, max_action, version)
VALUES (%(agency)s, %(list)s, %(source)s, %(mapping)s, %(as_of)s, %(stale)s, %(most)s, %(version)s)
ON CONFLICT (agency_id, list_id) DO UPDATE SET source = excluded.source, mapping = excluded.mapping, as_of = excluded.as_of,
  stale_after_s = excluded.stale_after_s, max_action = excluded.max_action, version = excluded.version
"""
_PUT_VERSION = """
INSERT INTO list_versions (agency_id, list_id, version, as_of, imported_at, member_id, rows, dropped, added, removed, changed,
  in_force_since)
VALUES (%(agency)s, %(list)s, %(version)s, %(as_of)s, %(now)s, %(member)s, %(rows)s, %(dropped)s, %(added)s, %(removed)s, %(changed)s, %(since)s)
"""


@dataclass(slots=True)
class _Import:
    agency_id: str
    wanted: hotlist_pb2.Hotlist
    mapping: str
    source: Source
    names: list[str]
    received: int
    rows: int
    dropped: Counter[str]

    @property
    def named(self) -> dict[str, Any]:
        return {"agency": self.agency_id, "list": self.wanted.list_id}


class Importer:
    """Takes files in."""

    def __init__(
        self, pool: Pool, clock: Clock, max_days: int, official: Collection[str] = OFFICIAL_LISTS
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._max_days = max_days
        self._official = frozenset(official)

    async def take(
        self, requests: AsyncIterable[hotlist_pb2.ImportListRequest], agency_id: str, member_id: str
    ) -> hotlist_pb2.ImportListResponse:
        """Receive a file and swap it in; return what changed.

        Raises:
            PlatewardError: INVALID_ARGUMENT for a header, mapping, offset or file that does not fit.
        """
        importing: _Import | None = None
        rest, at = b"", 0
        async for request in requests:
            if importing is None:
                importing = await self._begin(request, agency_id)
                at = request.offset
                if at > importing.received:
                    raise _invalid(
                        f"The import goes on from byte {importing.received}, not {at}: send the file from there "
                        "(ListHotlists tells import_offset)."
                    )
            chunk = request.chunk
            known = max(0, min(len(chunk), importing.received - at)) if not rest else 0
            at += len(chunk)
            rest += chunk[known:]
            whole, newline, rest = rest.rpartition(b"\n")
            if newline:
                await self._stage(importing, whole + newline)
            elif len(rest) > _LONGEST_LINE:
                raise _invalid("A line is longer than 16 KiB: this is no CSV file of a list.")
        if importing is None:
            raise _invalid("Send the list's header in the first message.")
        if rest.strip():
            await self._stage(importing, rest + b"\n")
        if not importing.names:
            raise _invalid("The file is empty: to empty a list, send its header line alone.")
        return await self._swap(importing, member_id)

    async def _begin(self, first: hotlist_pb2.ImportListRequest, agency_id: str) -> _Import:
        wanted = first.list
        if not wanted.list_id or not wanted.HasField("as_of"):
            raise _invalid(
                "The first message carries the list with its ID and as_of: the source's own state."
            )
        if wanted.list_id == OWN_LIST:
            raise _invalid(
                f"{OWN_LIST!r} is the agency's own list, entered one by one: import under another ID."
            )
        mapping = first.mapping or "ncic"
        try:
            mapped = source(mapping)
        except MappingUnknownError as error:
            raise _invalid(str(error)) from error
        as_of = instant(wanted.as_of)
        if as_of > self._clock.now():
            raise _invalid("as_of lies ahead: give the time at which the source was current.")
        named = {"agency": agency_id, "list": wanted.list_id, "as_of": as_of, "mapping": mapping}
        async with self._pool.connection() as connection:
            found = await connection.execute(f"SELECT as_of FROM lists WHERE {_LIST}", named)  # noqa: S608
            row = await found.fetchone()
            if row is not None and row["as_of"] > as_of:
                raise _invalid(
                    f"The list stands at {row['as_of']:%Y-%m-%d %H:%M}Z already: import a newer state."
                )
            # Two first calls at once: the row that one of them will write is nothing that the other could lock.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%(agency)s || ' ' || %(list)s, 0))", named
            )
            found = await connection.execute(f"SELECT * FROM imports WHERE {_LIST} FOR UPDATE", named)  # noqa: S608
            row = await found.fetchone()
            # An offset of 0 begins again, unless it is the same state: then what is here is passed over.
            if row is None or row["as_of"] != as_of or row["mapping"] != mapping:
                await connection.execute(f"DELETE FROM import_rows WHERE {_LIST}", named)  # noqa: S608
                await connection.execute(f"DELETE FROM imports WHERE {_LIST}", named)  # noqa: S608
                await connection.execute(
                    "INSERT INTO imports (agency_id, list_id, as_of, mapping) VALUES (%(agency)s, %(list)s, %(as_of)s, %(mapping)s)",
                    named,
                )
                row = {"header": "", "received": 0, "rows": 0, "dropped": {}}
        names = mapped.header(row["header"]) if row["header"] else []
        return _Import(
            agency_id, wanted, mapping, mapped, names, row["received"], row["rows"], Counter(row["dropped"])
        )

    async def _stage(self, importing: _Import, whole: bytes) -> None:
        """Put complete lines into the staging table and keep how far that is, in one transaction."""
        # Only a line's end ends a line: other breaks inside of a cell would hide half of it from the deny list.
        lines = [line.rstrip("\r") for line in whole.decode("utf-8", errors="replace").split("\n")]
        header = ""
        if not importing.names and lines:
            header = lines.pop(0)
            try:
                importing.names = importing.source.header(header)
            except ValueError as error:
                raise _invalid(str(error)) from error
        now, rows = self._clock.now(), list[tuple[int, Row]]()
        for line in lines:
            if not line.strip():
                continue
            importing.rows += 1
            try:
                row = importing.source.row(
                    importing.names,
                    line,
                    now,
                    self._max_days,
                    trusted=importing.wanted.list_id in self._official,
                )
                rows.append((importing.rows, row))
            except DroppedError as dropped:
                importing.dropped[str(dropped)] += 1
        values = importing.named | {
            "header": header, "before": importing.received, "received": importing.received + len(whole), "rows": importing.rows,
            "dropped": json.dumps(importing.dropped),
        }  # fmt: skip
        async with self._pool.connection() as connection, connection.transaction():
            if (await connection.execute(_RECEIVED, values)).rowcount != 1:
                raise _invalid(_ANOTHER)
            async with connection.cursor().copy(_COPY) as copy:
                for number, row in rows:
                    await copy.write_row((
                        importing.agency_id, importing.wanted.list_id, number, row.key, row.digest, row.plate, row.state,
                        row.vehicle_type, row.colour, row.category, row.reason, row.case_number, row.expires_at, row.max_action,
                        *(getattr(row, name) for name in DESCRIBED),
                    ))  # fmt: skip
        importing.received += len(whole)

    async def _swap(self, importing: _Import, member_id: str) -> hotlist_pb2.ImportListResponse:
        wanted, now = importing.wanted, self._clock.now()
        most = int(wanted.max_action or hit_pb2.MAX_ACTION_STOP)
        official = importing.source.official and wanted.list_id in self._official
        if not official:
            most = min(most, int(hit_pb2.MAX_ACTION_LEAD))
        values: dict[str, Any] = importing.named | {
            "member": member_id, "now": now, "as_of": instant(wanted.as_of), "source": wanted.source or importing.mapping,
            "mapping": importing.mapping, "stale": wanted.max_age_s or _DAY_S, "most": most, "rows": importing.rows,
        }  # fmt: skip
        async with self._pool.connection() as connection:
            async with connection.transaction():
                await self._hold(connection, values)
                await connection.execute("ANALYZE import_rows, entries")
                twice = (await connection.execute(_TWICE, values)).rowcount
                values["version"] = await self._next_version(connection, values)
                removed = (await connection.execute(_GONE, values)).rowcount
                await connection.execute(_FORGOTTEN, values)
                await connection.execute(_ADOPTED, values)
            if not official:
                async with connection.transaction():
                    await self._hold(connection, values)
                    await connection.execute(_PROLONGED, values)
            async with connection.transaction():
                await self._hold(connection, values)
                put = (await connection.execute(_NEW, values)).rowcount
                found = await (await connection.execute(_KEPT_OUT, values)).fetchone()
                importing.dropped["removed by hand"] += int(found["rows"]) if found is not None else 0
                importing.dropped["repeated"] += twice
                dropped = {reason: count for reason, count in importing.dropped.items() if count}
                await connection.execute(f"DELETE FROM imports WHERE {_LIST}", values)  # noqa: S608
                changed = (await connection.execute(_CHANGED, values)).rowcount
                await connection.execute(f"DELETE FROM import_rows WHERE {_LIST}", values)  # noqa: S608
                await connection.execute(_PUT_LIST, values)
                # The last act: approvals wait for it.
                values |= {
                    "dropped": json.dumps(dropped), "removed": removed, "changed": changed, "added": put - changed,
                    "since": await raise_version(connection),
                }  # fmt: skip
                await connection.execute(_PUT_VERSION, values)
        return hotlist_pb2.ImportListResponse(
            rows=importing.rows, dropped=dropped, added=put - changed, removed=removed, changed=changed
        )

    @staticmethod
    async def _hold(connection: AsyncConnection[Any], values: dict[str, Any]) -> None:
        """Keep other calls of the same import away until the transaction ends."""
        await connection.execute(_WHOLE_TABLES)
        if await (await connection.execute(_MINE, values)).fetchone() is None:
            raise _invalid(_ANOTHER)

    @staticmethod
    async def _next_version(connection: AsyncConnection[Any], values: dict[str, Any]) -> int:
        found = await connection.execute(
            f"SELECT coalesce(max(version), 0) + 1 AS version FROM list_versions WHERE {_LIST}",  # noqa: S608
            values,
        )
        row = await found.fetchone()
        return int(row["version"]) if row is not None else 1


def _invalid(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, message)
