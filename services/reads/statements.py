"""The statements of a search: an arm for each agency, so that each has its own bounds, and one way to match in each.

Rules
-----
1. A statement's text depends on the shape of the search only, never on what is searched for: it is planned once for each
   connection. Planning thirty partitions takes longer than looking into them.
2. A plan that is made without the values must be good for any. So the index is never left to a guess: a search for a plate
   is *fenced*, so that it is found by its grams and then sorted, and never by walking the newest reads in the hope that some fit.
   For a whole plate one look finds the text, its look-alikes and what the reader also held.
3. A pattern is first looked for in the newest day of its window: what fits often fills the page there. What does not, fits
   seldom, and the rest of the window is soon looked through.
4. Keyset pages: what comes after a place, by class, time and ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from services.reads.matching import EVERYTHING, Way
from services.reads.pages import Place
from services.reads.predicates import BY_TIME, Arm, Where, between
from services.reads.rows import shown

PLANNED = "-c plan_cache_mode=force_generic_plan -c jit=off"
"""Options of the connections on which searches for plates run (rule 1)."""

Statement = tuple[str, list[Any]]
Window = tuple[datetime, datetime]
_ORDER = "match_class, seen_at DESC, read_id DESC"
_NEWEST = timedelta(days=1)


def newest_span(window: Window, after: Place | None) -> Window:
    """Return the span of rule 3; a page that goes on begins where the last one ended."""
    start, end = window
    if after is not None:
        end = min(end, after.seen_at + timedelta(microseconds=1))
    return max(start, end - _NEWEST), end


def newest(looked: Sequence[Arm], after: Place | None, limit: int, window: Window | None) -> Statement:
    """Return the statement of a search without a plate: the newest first, by the index on time."""
    return _union([_ordered(arm, EVERYTHING, after, limit, window, BY_TIME) for arm in looked], limit)


def fenced(looked: Sequence[Arm], way: Way, after: Place | None, limit: int, span: Window) -> Statement:
    """Return the statement that finds first and sorts then, between two times."""
    return _union([_fenced(arm, way, after, limit, span) for arm in looked], limit)


def _ordered(
    arm: Arm, way: Way, after: Place | None, limit: int, window: Window | None, by: str = "seen_at"
) -> Statement:
    where = Where([*arm.where.clauses, way.clause], [*arm.where.parameters, *way.values])
    if window is not None and by == BY_TIME:
        between(where, *window)
    elif window is not None:
        where.add("seen_at >= %s AND seen_at < %s", *window)
    if after is not None:
        where.add("(seen_at, read_id) < (%s, %s)", after.seen_at, after.read_id)
    columns, values = shown(arm)
    statement = (
        f"SELECT {columns}, {way.kind} AS match_class FROM {arm.table} WHERE {where.sql} "  # noqa: S608
        f"ORDER BY {by} DESC, read_id DESC LIMIT {limit:d}"
    )
    return statement, [*values, *way.kind_values, *where.parameters]


def _fenced(arm: Arm, way: Way, after: Place | None, limit: int, span: Window) -> Statement:
    where = Where([*arm.where.clauses, way.clause], [*arm.where.parameters, *way.values])
    where.add("seen_at >= %s AND seen_at < %s", *span)
    columns, values = shown(arm)
    # OFFSET 0 is the fence: PostgreSQL neither pulls the query up nor pushes the order down.
    inner = f"SELECT {columns}, {way.kind} AS match_class FROM {arm.table} WHERE {where.sql} OFFSET 0"  # noqa: S608
    parameters = [*values, *way.kind_values, *where.parameters]
    outer = Where(["TRUE"])
    if after is not None:
        outer = Where()
        outer.add(
            "(match_class > %s OR (match_class = %s AND (seen_at, read_id) < (%s, %s)))",
            after.rank, after.rank, after.seen_at, after.read_id,
        )  # fmt: skip
    statement = f"SELECT * FROM ({inner}) AS found WHERE {outer.sql} ORDER BY {_ORDER} LIMIT {limit:d}"  # noqa: S608
    return statement, [*parameters, *outer.parameters]


def _union(parts: Sequence[Statement], limit: int) -> Statement:
    if len(parts) == 1:
        return parts[0]
    union = " UNION ALL ".join(f"({part})" for part, _ in parts)
    values = [value for _, values in parts for value in values]
    return f"SELECT * FROM ({union}) AS matching ORDER BY {_ORDER} LIMIT {limit:d}", values  # noqa: S608
