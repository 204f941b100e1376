"""How often hits were right: by list, camera, kind of match and pair of characters. Counts only, no plate, no member (R-TRN-2).

The hits of two agencies are never added up, nor are two lists of the same ID: another agency's list is named with its owner.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from services.hotlist.states import UNVERIFIED

_STEP = 500
_Group = tuple[str, str, str]  # agency, what is grouped, its name


class Statistics:
    """Counts the hits of a time."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def rows(self, days: int, agency_id: str | None) -> list[hotlist_pb2.MatchStatistic]:
        """Return a row for each list, camera, kind and pair of characters (read/entry) that differed, by agency, group and name.

        Args:
            days: how far back.
            agency_id: whose hits; none for those of every agency, each apart.
        """
        raised: Counter[_Group] = Counter()
        confirmed: Counter[_Group] = Counter()
        rejected: dict[_Group, Counter[str]] = {}
        async with self._pool.connection() as connection, connection.cursor("hits") as found:
            await found.execute(
                "SELECT raised, state, rejection FROM hits WHERE raised_at > %s AND expires_at > %s "
                "AND (%s::text IS NULL OR agency_id = %s)",
                (self._clock.now() - timedelta(days=days), self._clock.now(), agency_id, agency_id),
            )
            while step := await found.fetchmany(_STEP):
                for row in step:
                    hit = hit_pb2.Hit.FromString(row["raised"])
                    for group in _groups(hit):
                        raised[group] += 1
                        if row["state"] == hit_pb2.HIT_STATE_REJECTED:
                            rejected.setdefault(group, Counter())[
                                hit_pb2.Rejection.Name(row["rejection"])
                            ] += 1
                        elif row["state"] not in UNVERIFIED:
                            confirmed[group] += 1
        return [
            hotlist_pb2.MatchStatistic(
                agency_id=group[0],
                group=group[1],
                name=group[2],
                raised=count,
                confirmed=confirmed[group],
                rejected=rejected.get(group, {}),
            )
            for group, count in sorted(raised.items())
        ]


def _groups(hit: hit_pb2.Hit) -> set[_Group]:
    pairs = {
        ("characters", f"{c.read}/{c.entry}")
        for c in hit.explanation
        if c.match in (hit_pb2.CHARACTER_MATCH_LOOKALIKE, hit_pb2.CHARACTER_MATCH_DIFFERENT)
    }
    owner = hit.entry.agency_id
    name = hit.entry.list_id if owner == hit.agency_id else f"{hit.entry.list_id} of {owner}"
    found = pairs | {("list", name), ("camera", hit.read.camera_id), ("kind", hit.match_kind)}
    return {(hit.agency_id, *group) for group in found}
