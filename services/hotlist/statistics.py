"""How often hits were right: by list, camera and pair of characters. Counts only, no plate, no member (R-TRN-2)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from services.hotlist.states import UNVERIFIED

_STEP = 500


class Statistics:
    """Counts the hits of a time."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def rows(self, days: int) -> list[hotlist_pb2.MatchStatistic]:
        """Return a row for each list, camera and pair of characters (read/entry) that differed, by group and name."""
        raised: Counter[tuple[str, str]] = Counter()
        confirmed: Counter[tuple[str, str]] = Counter()
        rejected: dict[tuple[str, str], Counter[str]] = {}
        async with self._pool.connection() as connection, connection.cursor("hits") as found:
            await found.execute(
                "SELECT raised, state, rejection FROM hits WHERE raised_at > %s AND expires_at > %s",
                (self._clock.now() - timedelta(days=days), self._clock.now()),
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
                group=group[0],
                name=group[1],
                raised=count,
                confirmed=confirmed[group],
                rejected=rejected.get(group, {}),
            )
            for group, count in sorted(raised.items())
        ]


def _groups(hit: hit_pb2.Hit) -> set[tuple[str, str]]:
    pairs = {
        ("characters", f"{c.read}/{c.entry}")
        for c in hit.explanation
        if c.match in (hit_pb2.CHARACTER_MATCH_LOOKALIKE, hit_pb2.CHARACTER_MATCH_DIFFERENT)
    }
    return pairs | {("list", hit.entry.list_id), ("camera", hit.read.camera_id), ("kind", hit.match_kind)}
