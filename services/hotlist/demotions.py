"""What lowers a hit after it was raised: the list grows old while people work. Pure.

Rules
-----
1. As long as nothing was done on a hit, the age of its entry's list is that of the moment: once the list is too old, the hit is a
   lead at most and says so, and an action is refused accordingly, however long ago it was confirmed.
2. Nothing is ever raised again: what was found wrong with a hit stays, also when the list is imported anew.
3. What was done stands with what was known then: a hit that was acted on, closed or rejected grows no older.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from plateward.hotlist.v1 import hit_pb2
from services.hotlist.matching import ListStanding, too_old

_OPEN = frozenset(
    {
        hit_pb2.HIT_STATE_RAISED,
        hit_pb2.HIT_STATE_CLAIMED,
        hit_pb2.HIT_STATE_COMPARED,
        hit_pb2.HIT_STATE_CONFIRMED,
    }
)
_TOO_OLD = "list too old"


def grow_older(hit: hit_pb2.Hit, current: Sequence[float] | None, now: datetime) -> None:
    """Apply rule 1 to a hit.

    Args:
        hit: as it stands.
        current: when the list was current, in seconds of the epoch, and the seconds after which it is too old; none for the
            agency's own list, whose entries expire by themselves.
        now: the moment.
    """
    if current is None or hit.state not in _OPEN:
        return
    standing = ListStanding(0, datetime.fromtimestamp(current[0], UTC), int(current[1]))
    if not (doubt := too_old(standing, now)):
        return
    told = [demotion for demotion in hit.demotions if not demotion.startswith(_TOO_OLD)]
    del hit.demotions[:]
    hit.demotions.extend((*told, doubt))
    hit.max_action = min(hit.max_action, hit_pb2.MAX_ACTION_LEAD)
