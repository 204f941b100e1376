"""``python -m tests.fuzz``: mutated messages against every service of a running stack.

Promise held: no crash, no INTERNAL or UNKNOWN, no leak of internals in what comes back.
Prints one line for each service and ends with exit code 1 when the promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from clients.connection import Connection
from clients.devkit.stack import Stack
from servicekit.channels import bearer
from tests.common.api import IDENTITIES, Method, call_raw_details, every_method
from tests.common.mutate import mutated

LEAK = re.compile(
    r"Traceback|psycopg|asyncpg|SELECT |INSERT |UPDATE |site-packages|\.py\b|File \"|/tmp/|/home/|/root/|localhost:\d+|KeyError|TypeError|ValueError"
)
FORBIDDEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
MEMBERS = {"portal": ("m-1042", "m-1077", "m-2001", "m-3001", "m-4001"), "galt-pd": ("galt-1",)}
WORKERS = 12


@dataclass
class Tally:
    """What came back from one service."""

    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


async def fuzz_service(connection: Connection, service: str, count: int, seed: int) -> Tally:
    """Send ``count`` mutated messages to the methods of a service; return the tally."""
    methods = [m for m in every_method() if m.service == service]
    tally, rng = Tally(), random.Random(f"{service}{seed}")
    channels = {name: connection.channel(service, name) for name in IDENTITIES.values()}
    work = ((rng.choice(methods), rng.getrandbits(48)) for _ in range(count))

    async def worker() -> None:
        for method, item_seed in work:
            await _send(connection, channels, method, random.Random(item_seed), tally)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    for channel in channels.values():
        await channel.close()
    return tally


async def _send(
    connection: Connection,
    channels: dict[str, grpc.aio.Channel],
    method: Method,
    rng: random.Random,
    tally: Tally,
) -> None:
    payload = mutated(method.request_class(), rng)
    allowed = [IDENTITIES[k] for k in method.rule.callers if k in IDENTITIES] or ["portal"]
    identity = rng.choice(allowed)
    metadata = bearer(connection.token(rng.choice(MEMBERS[identity]))) if identity in MEMBERS else ()
    status, details = await call_raw_details(channels[identity], method, payload, metadata)
    tally.statuses[status.name] += 1
    if status in FORBIDDEN:
        tally.faults.append(f"{method}: {status.name} {details[:300]}")
    elif leak := LEAK.search(details):
        tally.faults.append(f"{method}: leaks {leak.group()!r}: {details[:300]}")


async def fuzz(stack: Stack, root: Path, count: int, seed: int) -> dict[str, Tally]:
    """Fuzz all five services; a service that died counts as a fault."""
    connection = Connection.load(root)
    before = {row.name: row.pid for row in stack.status()}
    tallies = {}
    for service in before:
        tallies[service] = await fuzz_service(connection, service, count, seed)
    for row in stack.status():
        if row.pid != before[row.name] or row.health != "SERVING":
            tallies[row.name].faults.append(
                f"{row.name} is {row.health} (process {before[row.name]} → {row.pid})"
            )
    return tallies


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--count", type=int, default=10_000, help="messages for each service (default: 10000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of populations and mutations (default: 1)")
    args = parser.parse_args()
    broken = 0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        stack = Stack(root)
        try:
            stack.start_all(lambda step: print(f"  {step}", flush=True))
            begun = time.monotonic()
            for service, tally in asyncio.run(fuzz(stack, root, args.count, args.seed)).items():
                print(
                    f"{service:11} {sum(tally.statuses.values())} messages, {len(tally.faults)} faults, {dict(tally.statuses.most_common())}",
                    flush=True,
                )
                print(*tally.faults[:10], sep="\n")
                broken += len(tally.faults)
            print(f"{time.monotonic() - begun:.0f} s")
        finally:
            stack.stop()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
