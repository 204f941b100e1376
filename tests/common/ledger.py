"""What really went, seen from outside: the store before and after each step of a purge, against what certificates commit to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC
from typing import Any
from uuid import UUID

from plateward.reads.v1 import reads_pb2
from servicekit.ids import derived_id
from services.reads import purge_store
from tlog.hashing import leaf_hash, root_from_leaves

STEPS = ("drop_day", "delete_expired", "delete_released", "delete_withheld", "destroy_crops")
_THERE = """
SELECT read_id::text AS id, true AS read,
       plate_crop <> '' AND seen_at > coalesce((SELECT up_to FROM crops_destroyed WHERE agency_id = %(a)s), '-infinity') AS plate,
       vehicle_crop <> '' AND seen_at > coalesce((SELECT up_to FROM crops_destroyed WHERE agency_id = %(a)s), '-infinity') AS vehicle
FROM reads WHERE agency_id = %(a)s
UNION ALL SELECT read_id::text, true, plate_crop <> '', vehicle_crop <> '' FROM held_reads WHERE agency_id = %(a)s
"""


class Ledger:
    """An agency's reads and pictures, and which purge each of them went with, in order."""

    def __init__(self, pool: Any, agency_id: str) -> None:
        self.pool, self.agency_id = pool, agency_id
        self.last: dict[str, set[str]] = {"read": set(), "crop": set()}
        self.purge: UUID | None = None
        self.gone: defaultdict[tuple[UUID, str], list[str]] = defaultdict(list)

    async def mark(self) -> None:
        """Look at what is there, and write what is not there any more to the purge under way."""
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_THERE, {"a": self.agency_id})).fetchall()
        now = {
            "read": {row["id"] for row in rows},
            "crop": {f"{row['id']}-{kind}" for row in rows for kind in ("plate", "vehicle") if row[kind]},
        }
        for kind, before in self.last.items():
            if gone := sorted(before - now[kind]):
                assert self.purge is not None, f"gone without a purge: {gone}"
                self.gone[self.purge, kind] += gone
        self.last = now

    async def compare(self) -> None:
        """Each certificate commits to exactly what went, in its order, and nothing went without one."""
        async with self.pool.connection() as connection:
            rows = await (
                await connection.execute(
                    "SELECT document FROM certificates WHERE agency_id = %s", (self.agency_id,)
                )
            ).fetchall()
        issued = [reads_pb2.Certificate.FromString(row["document"]) for row in rows]
        left = dict(self.gone)
        for certificate in issued:
            began = certificate.destroyed_at.ToDatetime(UTC)
            of = [
                key for key in left if derived_id(began, str(key[0]), key[1]) == certificate.certificate_id
                and key[1] == certificate.kind
            ]  # fmt: skip
            names = left.pop(of[0]) if of else []
            assert len(names) == certificate.destroyed, (
                f"{certificate.kind}: {certificate.destroyed} certified, {len(names)} went"
            )
            assert root_from_leaves(leaf_hash(name.encode()) for name in names) == certificate.commitment
        assert not left, f"went without a certificate: {left}"


def watch(ledgers: dict[str, Ledger]) -> Callable[[], None]:
    """Look at the store before and after each step of any purge; return what ends that."""
    wholes = {name: getattr(purge_store, name) for name in STEPS}

    def watched(whole: Any) -> Any:
        async def step(connection: Any, purge: Any, *arguments: Any, **named: Any) -> Any:
            ledger = ledgers[purge.agency_id]
            # A step that was committed and killed before it returned is seen here, and is the one before.
            await ledger.mark()
            ledger.purge = purge.purge_id
            result = await whole(connection, purge, *arguments, **named)
            await ledger.mark()
            return result

        return step

    for name, whole in wholes.items():
        setattr(purge_store, name, watched(whole))

    def end() -> None:
        for name, whole in wholes.items():
            setattr(purge_store, name, whole)

    return end
