"""Cameras: what an agency registers, and what ingest takes a read's place from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plateward.common.v1 import decision_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.database import Pool
from services.reads import checks

_PUT = """
INSERT INTO cameras (agency_id, camera_id, name, latitude, longitude, heading, active)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (agency_id, camera_id) DO UPDATE SET name = excluded.name, latitude = excluded.latitude,
    longitude = excluded.longitude, heading = excluded.heading, active = excluded.active, updated_at = now()
"""


class Cameras:
    """The table of cameras."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, camera: reads_pb2.Camera) -> reads_pb2.Camera | None:
        """Register or change a camera of ``camera.agency_id``; return what stood before."""
        key = (camera.agency_id, camera.camera_id)
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT * FROM cameras WHERE agency_id = %s AND camera_id = %s FOR UPDATE", key
            )
            before = await found.fetchone()
            await connection.execute(
                _PUT,
                (*key, camera.name, camera.place.latitude, camera.place.longitude, camera.heading, camera.active),
            )  # fmt: skip
        return _camera(before) if before is not None else None

    async def listed(self, agency_id: str, decision: decision_pb2.Decision | None) -> list[reads_pb2.Camera]:
        """Return the cameras of an agency by ID, within the decision's bounds."""
        obligations = decision.obligations if decision is not None else decision_pb2.Obligations()
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT * FROM cameras WHERE agency_id = %s AND agency_id = ANY(%s) "
                "AND (%s::text[] = '{}' OR camera_id = ANY(%s)) ORDER BY camera_id",
                (
                    agency_id, list(obligations.agency_ids),
                    list(obligations.camera_ids), list(obligations.camera_ids),
                ),
            )  # fmt: skip
            return [_camera(row) for row in await found.fetchall()]

    async def known(self, agency_id: str, camera_ids: Iterable[str]) -> dict[str, checks.Camera]:
        """Return what ingest must know of an agency's cameras."""
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT * FROM cameras WHERE agency_id = %s AND camera_id = ANY(%s)",
                (agency_id, sorted(set(camera_ids))),
            )
            return {
                row["camera_id"]: checks.Camera(
                    types_pb2.Place(latitude=row["latitude"], longitude=row["longitude"]), row["active"]
                )
                for row in await found.fetchall()
            }


def _camera(row: Mapping[str, Any]) -> reads_pb2.Camera:
    return reads_pb2.Camera(
        camera_id=row["camera_id"],
        agency_id=row["agency_id"],
        name=row["name"],
        place=types_pb2.Place(latitude=row["latitude"], longitude=row["longitude"]),
        heading=row["heading"],
        active=row["active"],
    )
