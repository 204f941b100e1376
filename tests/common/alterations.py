"""What somebody who owns the database, and in the end every key, can do to the stored log. Each returns the first entry it touched.

An alteration runs inside a transaction on a superuser's connection with all triggers off; the caller rolls it back.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from services.audit.model import Sealer
from services.audit.store import EPOCH_BITS, Connection, Store
from tlog.checkpoint import Checkpoint
from tlog.hashing import leaf_hash
from tlog.note import SignerKey
from tlog.tiles import TILE_WIDTH
from tlog.tree import Appender


@dataclass
class Scene:
    """The log that is altered, on the transaction's connection."""

    connection: Connection
    store: Store
    rng: random.Random
    size: int
    sealer: Sealer
    key: SignerKey
    origin: str
    # Whether the service was started again on what is now stored: then its memory tells nothing of before.
    restarted: bool = False

    def pick(self) -> int:
        return self.rng.randrange(self.size)

    def pair(self) -> tuple[int, int]:
        one, two = sorted(self.rng.sample(range(self.size), 2))
        return one, two

    async def run(self, statement: str, *values: Any) -> None:
        done = await self.connection.execute(statement, values)
        assert done.rowcount != 0, statement

    async def flip(self, table: str, column: str, index: int) -> None:
        row = await (
            await self.connection.execute(f"SELECT {column} AS v FROM {table} WHERE index = %s", (index,))
        ).fetchone()
        assert row is not None
        data = bytearray(row["v"])
        data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        await self.run(f"UPDATE {table} SET {column} = %s WHERE index = %s", bytes(data), index)


Alteration = Callable[[Scene], Awaitable[int]]


async def leaf_changed(s: Scene) -> int:
    index = s.pick()
    await s.flip("entries", "entry", index)
    return index


async def payload_changed(s: Scene) -> int:
    index = s.pick()
    await s.flip("entries", s.rng.choice(["sealed", "digest"]), index)
    return index


async def column_changed(s: Scene) -> int:
    index = s.pick()
    change = s.rng.choice(
        ["occurred_at = occurred_at + interval '1 second'", "action = action + 1", "phase = phase + 1", "status = status || ' '",
         "event_id = gen_random_uuid()"]
    )  # fmt: skip
    await s.run(f"UPDATE entries SET {change} WHERE index = %s", index)
    return index


async def key_changed(s: Scene) -> int:
    index = s.pick()
    await s.flip("payload_keys", "wrapped_key", index)
    return index


async def key_destroyed(s: Scene) -> int:
    index = s.pick()
    await s.run("DELETE FROM payload_keys WHERE index = %s", index)
    return index


async def entry_deleted(s: Scene) -> int:
    index = s.pick()
    await s.run("DELETE FROM entries WHERE index = %s", index)
    if s.rng.random() < 0.5:
        await s.run("DELETE FROM payload_keys WHERE index = %s", index)
        await s.run("DELETE FROM search_keys WHERE index = %s", index)
    return index


async def entries_closed_up(s: Scene) -> int:
    """An entry is taken out and everything after it moves down by one."""
    index = s.pick()
    for table in ("entries", "payload_keys", "search_keys"):
        await s.run(f"DELETE FROM {table} WHERE index = %s", index)
        await s.connection.execute(f"UPDATE {table} SET index = -index WHERE index > %s", (index,))
        await s.connection.execute(f"UPDATE {table} SET index = -index - 1 WHERE index < 0")
    return index


async def entries_swapped(s: Scene) -> int:
    one, two = s.pair()
    for table in s.rng.choice(
        [("entries",), ("entries", "payload_keys", "search_keys"), ("payload_keys",), ("search_keys",)]
    ):
        await s.run(f"UPDATE {table} SET index = -1 WHERE index = %s", one)
        await s.run(f"UPDATE {table} SET index = %s WHERE index = %s", one, two)
        await s.run(f"UPDATE {table} SET index = %s WHERE index = -1", two)
    return one


async def search_thinned(s: Scene) -> int:
    """A search no longer finds the entry, though the entry is there."""
    index = s.pick()
    if s.rng.random() < 0.5:
        await s.run("UPDATE search_keys SET epoch = %s WHERE index = %s", s.rng.randrange(1, 9), index)
    else:
        await s.run("DELETE FROM search_keys WHERE index = %s AND digest = (SELECT digest FROM search_keys WHERE index = %s "
                    "ORDER BY random() LIMIT 1)", index, index)  # fmt: skip
    return index


async def search_planted(s: Scene) -> int:
    """A search finds the entry for somebody who had nothing to do with it."""
    index = s.pick()
    await s.run(
        "INSERT INTO search_keys VALUES (%s, %s, %s)", index >> EPOCH_BITS, s.rng.randbytes(16), index
    )
    return index


async def truncated(s: Scene) -> int:
    index = s.pick()
    await s.run("DELETE FROM entries WHERE index >= %s", index)
    return index


async def rolled_back(s: Scene) -> int:
    """Everything after an older checkpoint is gone without a trace in the database: a restored backup."""
    sizes = await (await s.connection.execute(
        "SELECT DISTINCT size FROM cosignatures WHERE size < (SELECT max(size) FROM cosignatures)")).fetchall()  # fmt: skip
    size: int = s.rng.choice(sizes)["size"]
    for table in ("entries", "payload_keys", "search_keys"):
        await s.run(f"DELETE FROM {table} WHERE index >= %s", size)
    await s.run("DELETE FROM checkpoints WHERE size > %s", size)
    await s.run("DELETE FROM cosignatures WHERE size > %s", size)
    await s.connection.execute(
        "DELETE FROM tiles WHERE (index + 1) * (CASE level WHEN 0 THEN 256 ELSE 65536 END) > %s", (size,)
    )
    s.restarted = True
    return size


async def old_checkpoint_replayed(s: Scene) -> int:
    """The entries stay; an older checkpoint is shown again, and hides the newest of them."""
    sizes = await (await s.connection.execute(
        "SELECT DISTINCT size FROM cosignatures WHERE size < (SELECT max(size) FROM cosignatures)")).fetchall()  # fmt: skip
    size: int = s.rng.choice(sizes)["size"]
    await s.run("DELETE FROM checkpoints WHERE size > %s", size)
    await s.run("DELETE FROM cosignatures WHERE size > %s", size)
    return size


async def tiles_swapped(s: Scene) -> int:
    one, two = sorted(s.rng.sample(range(s.size // TILE_WIDTH), 2))
    await s.run("UPDATE tiles SET index = -1 WHERE level = 0 AND index = %s", one)
    await s.run("UPDATE tiles SET index = %s WHERE level = 0 AND index = %s", one, two)
    await s.run("UPDATE tiles SET index = %s WHERE level = 0 AND index = -1", two)
    return one * TILE_WIDTH


async def tile_changed(s: Scene) -> int:
    index = s.rng.randrange(s.size // TILE_WIDTH)
    if s.rng.random() < 0.3:
        await s.run("DELETE FROM tiles WHERE level = 0 AND index = %s", index)
        return index * TILE_WIDTH
    row = await (
        await s.connection.execute("SELECT data FROM tiles WHERE level = 0 AND index = %s", (index,))
    ).fetchone()
    assert row is not None
    data = bytearray(row["data"])
    at = s.rng.randrange(len(data))
    data[at] ^= 1 << s.rng.randrange(8)
    await s.run("UPDATE tiles SET data = %s WHERE level = 0 AND index = %s", bytes(data), index)
    return index * TILE_WIDTH + at // 32


async def forked(s: Scene) -> int:
    """The operator has every key: an event is replaced, tiles are made anew, the checkpoint is signed again."""
    index = s.pick()
    (old,) = await s.store.payloads(index, index + 1)
    event = s.sealer.open(old.entry, old.sealed, old.wrapped_key)
    event.subject.member_id = "m-0000"
    at = (
        await (
            await s.connection.execute("SELECT occurred_at FROM entries WHERE index = %s", (index,))
        ).fetchone()
    )["occurred_at"]  # type: ignore[index]
    new = s.sealer.seal(event, at)
    await s.run(
        "UPDATE entries SET entry = %s, sealed = %s, digest = %s WHERE index = %s",
        new.entry,
        new.row.sealed,
        new.row.digest,
        index,
    )
    await s.run("UPDATE payload_keys SET wrapped_key = %s WHERE index = %s", new.wrapped_key, index)
    await s.run("DELETE FROM search_keys WHERE index = %s", index)
    for term in new.row.terms:
        await s.run("INSERT INTO search_keys VALUES (%s, %s, %s)", index >> EPOCH_BITS, term, index)
    growth = Appender().grow([leaf_hash(entry) for _, entry in await s.store.entries(0, s.size)])
    for tile in growth.tiles:
        if tile.coord.width == TILE_WIDTH:
            await s.run(
                "UPDATE tiles SET data = %s WHERE level = %s AND index = %s",
                tile.data,
                tile.coord.level,
                tile.coord.index,
            )
    note = Checkpoint(s.origin, s.size, growth.root).sign(s.key)
    await s.run("UPDATE checkpoints SET root = %s, note = %s WHERE size = %s", growth.root, note, s.size)
    if s.rng.random() < 0.5:
        await s.run("UPDATE cosignatures SET note = %s WHERE size = %s", note, s.size)
    else:
        await s.run("DELETE FROM cosignatures")
    s.restarted = True
    return index


ALTERATIONS: dict[str, Alteration] = {
    f.__name__.replace("_", " "): f
    for f in (
        leaf_changed, payload_changed, column_changed, key_changed, key_destroyed, entry_deleted, entries_closed_up, entries_swapped,
        search_thinned, search_planted, truncated, rolled_back, old_checkpoint_replayed, tiles_swapped, tile_changed, forked,
    )
}  # fmt: skip
