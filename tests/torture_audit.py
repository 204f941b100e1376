"""``python -m tests.torture_audit``: eight writers append while the log's process is killed at random, again and again.

Promise held: no acknowledged entry is missing or changed, no index is used twice, the log verifies with the witness that watched.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from clients.cli.audit import export_log
from clients.cli.audit_verify import Trust, kept_notes, verify_export
from clients.connection import Connection
from clients.devkit.opa import find_opa
from clients.devkit.stack import Stack
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc
from plateward.common.v1 import receipt_pb2
from tests.common.events import event
from tlog.hashing import leaf_hash
from tlog.tiles import decode_bundle, parse_tile_path

WRITERS = 8


@dataclass
class Outcome:
    """What the writers were told, and what the log then holds."""

    acknowledged: list[receipt_pb2.Receipt] = field(default_factory=list)
    retries: int = 0
    kills: int = 0
    faults: list[str] = field(default_factory=list)


async def writer(connection: Connection, outcome: Outcome, stop: asyncio.Event) -> None:
    """Append events one after the other; try each until it is acknowledged, with the same ID."""
    async with connection.channel("audit", "service") as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        while not stop.is_set():
            request = audit_pb2.AppendRequest(event=event())
            while True:
                try:
                    answer = await stub.Append(request, timeout=10, wait_for_ready=True)
                except grpc.aio.AioRpcError:
                    outcome.retries += 1
                    await asyncio.sleep(0.02)
                else:
                    outcome.acknowledged.append(answer.receipt)
                    break


async def torture(stack: Stack, root: Path, kills: int, seed: int) -> Outcome:
    """Kill the log ``kills`` times under load, then look at what it holds."""
    outcome, stop, rng = Outcome(), asyncio.Event(), random.Random(seed)
    connection = Connection.load(root)
    writers = [asyncio.create_task(writer(connection, outcome, stop)) for _ in range(WRITERS)]
    for _ in range(kills):
        await asyncio.sleep(rng.uniform(0.05, 0.8))
        await asyncio.to_thread(stack.kill, "audit", signal.SIGKILL)
        outcome.kills += 1
        await asyncio.to_thread(stack.start, "audit")
        if sys.stderr.isatty():
            print(
                f"\r{outcome.kills}/{kills} kills, {len(outcome.acknowledged)} acknowledged",
                end="",
                file=sys.stderr,
            )
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.gather(*writers)
    await _check(stack, connection, root, outcome)
    return outcome


async def _check(stack: Stack, connection: Connection, root: Path, outcome: Outcome) -> None:
    target = root / "tortured"
    await export_log(connection, target, payloads=True)
    trust = Trust(witnesses=[stack.witness.vkey], seen=kept_notes(stack.witness.state))
    verdict = verify_export(target, [], trust)
    outcome.faults += [f"{c.what}: {c.result}" for c in verdict.checks if not c.ok]
    indexes = [r.index for r in outcome.acknowledged]
    if len(set(indexes)) != len(indexes):
        outcome.faults.append("an index was given to two entries")
    bundles = {
        parse_tile_path(str(p.relative_to(target))).index: decode_bundle(p.read_bytes())
        for p in (target / "tile" / "entries").rglob("*")
        if p.is_file()
    }
    for receipt in outcome.acknowledged:
        entries = bundles.get(receipt.index // 256, [])
        at = receipt.index % 256
        if at >= len(entries) or leaf_hash(entries[at]) != receipt.leaf_hash:
            outcome.faults.append(f"entry {receipt.index} was acknowledged and is missing or another one")


def main() -> int:
    """Run on a stack of its own; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        stack = Stack(Path(name), opa=find_opa())
        started = time.monotonic()
        try:
            stack.start_all(lambda step: print(step, file=sys.stderr))
            outcome = asyncio.run(torture(stack, Path(name), given.kills, given.seed))
        finally:
            stack.stop()
    print(
        f"{outcome.kills} kills, {WRITERS} writers, {len(outcome.acknowledged)} entries acknowledged, {outcome.retries} retries, "
        f"{len(outcome.faults)} faults, {time.monotonic() - started:.0f} s"
    )
    for fault in outcome.faults[:20]:
        print(f"FAULT: {fault}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
