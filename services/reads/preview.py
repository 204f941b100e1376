"""What a destruction would come to, counted as a destruction counts it, and nothing destroyed (``--dry-run``).

Each step of a purge is weighed by itself, in its order: plates on the address-confidentiality list, whole days, rows of a short
schedule, what holds have let go, pictures whose own schedule is shorter. What one step would take is not counted by a later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from plateward.reads.v1 import reads_pb2
from servicekit.certificates import window
from services.reads import purge_store as store
from services.reads.confidential import BASIS, Confidential
from services.reads.partitions import day_of, start_of
from services.reads.schedules import BEGINNING, CROP, READ, Alive, Schedules

SHORT = timedelta(days=2)
"""Below this rows go one by one, and pictures by the instant: a partition would be too coarse."""
_NO_READS = {"total": 0, "destroyed": 0, "first_at": None, "last_at": None}
_FIELDS = ("total", "destroyed", "crops", "crops_destroyed")


def crops_until(schedules: Schedules, alive: Alive) -> datetime:
    """Return up to when pictures go by their own schedule: whole days, unless it is a short one."""
    if schedules.crop.keep < SHORT:
        return alive.crops_after
    return start_of(day_of(alive.crops_after)) - timedelta(microseconds=1)


async def preview(
    connection: AsyncConnection[Any],
    schedules: Schedules,
    now: datetime,
    confidential: Confidential | None,
) -> list[reads_pb2.Certificate]:
    """Return a certificate without ID, commitment and signature for each kind that has something due."""
    agency_id, alive = schedules.agency_id, schedules.alive(now)
    days = await store.due_days(connection, agency_id, alive.reads_after)
    until = start_of(max(day for _, day in days)) + timedelta(days=1, microseconds=-1) if days else BEGINNING
    if schedules.read.keep < SHORT:
        until = max(until, alive.reads_after)

    target = crops_until(schedules, alive) if schedules.crop.keep < schedules.read.keep else until
    crops_only = "seen_at > %(until)s AND seen_at <= %(target)s"
    bounds = {"until": until, "target": target}

    withheld, ordinary = _Sum(), _Sum()
    if confidential is not None and await confidential.due(connection, agency_id) is not None:
        values = {**store.withheld_values(await confidential.stored(connection, agency_id)), **bounds}
        source = f"reads WHERE {store.WITHHELD}"
        withheld.add(await store.weigh_rows(connection, agency_id, source, values))
        due_too = await store.weigh_rows(connection, agency_id, f"{source} AND seen_at <= %(until)s", values)
        ordinary.add(due_too, sign=-1)
        crops_too = await store.weigh_rows(connection, agency_id, f"{source} AND {crops_only}", values)
        ordinary.add({**crops_too, **_NO_READS}, sign=-1)
    for name, _ in days:
        ordinary.add(await store.weigh_day(connection, agency_id, name))
    last = start_of(max(day for _, day in days)) + timedelta(days=1) if days else BEGINNING
    if schedules.read.keep < SHORT:
        rest = "reads WHERE agency_id = %(agency)s AND seen_at >= %(last)s AND seen_at <= %(until)s"
        ordinary.add(await store.weigh_rows(connection, agency_id, rest, {"last": last, "until": until}))
    released = f"held_reads AS held WHERE {store.RELEASED}"
    ordinary.add(
        await store.weigh_rows(
            connection, agency_id, released, {"horizon": alive.reads_after}, all_crops=True
        )
    )
    weighed = await store.weigh_rows(
        connection, agency_id, f"reads WHERE agency_id = %(agency)s AND {crops_only}", bounds
    )
    ordinary.add({**weighed, **_NO_READS})
    return [
        *withheld.certificates(agency_id, {READ: BASIS, CROP: BASIS}, schedules),
        *ordinary.certificates(agency_id, {READ: schedules.read.told, CROP: schedules.crop.told}, schedules),
    ]


class _Sum:
    """What some steps come to together."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(_FIELDS, 0)
        self._times: dict[str, datetime] = {}

    def add(self, weighed: Mapping[str, Any], sign: int = 1) -> None:
        for name in _FIELDS:
            self._counts[name] += sign * int(weighed[name])
        if sign < 0:
            return
        for name, choose in (("first_at", min), ("last_at", max)):
            for key in (name, f"crops_{name}"):
                if weighed[key] is not None:
                    self._times[key] = choose(self._times.get(key, weighed[key]), weighed[key])

    def certificates(
        self, agency_id: str, told: Mapping[str, str], schedules: Schedules
    ) -> list[reads_pb2.Certificate]:
        found = []
        for kind, prefix, schedule in ((READ, "", schedules.read), (CROP, "crops_", schedules.crop)):
            total, destroyed = (
                self._counts["crops" if prefix else "total"],
                self._counts[f"{prefix}destroyed"],
            )
            if total > 0:
                found.append(
                    reads_pb2.Certificate(
                        agency_id=agency_id, kind=kind, destroyed=destroyed, held=total - destroyed, schedule=told[kind],
                        policy_version=schedule.policy_version,
                        range=window(self._times.get(f"{prefix}first_at"), self._times.get(f"{prefix}last_at")),
                    )
                )  # fmt: skip
        return found
