"""What a decision costs: bare OPA, the engines, and the service with its database, identity and TLS. Usage: make bench-access.

Everything runs in this one run on this one machine, on the same input; ratios are against the bare OPA REST call. The call
through the service is a gRPC call over mutual TLS from another process, with the facts read from PostgreSQL for each one.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from clients.connection import Connection
from clients.devkit.opa import find_opa
from clients.devkit.stack import Stack
from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.common.v1 import action_pb2, decision_pb2, types_pb2
from services.access.bundles import load_or_create_signing_key, pack
from services.access.conformance import engine_input, matrix
from services.access.engines import OpaEngine, RegopyEngine
from services.access.policy import PolicyBundle, load_bundle, sample_document

TICKS = os.sysconf("SC_CLK_TCK")
BARS: list[tuple[str, bool]] = []


def quantile(seconds: list[float], share: float) -> float:
    """Milliseconds at a share of the sorted times."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1e3


def line(what: str, seconds: list[float], base: float | None = None) -> float:
    """Print p5 (what it costs when nothing else runs), p50 and p95 of some times; return p50."""
    p50 = quantile(seconds, 0.5)
    ratio = f"   {p50 / base:5.2f}x bare OPA" if base else ""
    print(
        f"{what:64s} p5 {quantile(seconds, 0.05):6.3f}   p50 {p50:6.3f}   p95 {quantile(seconds, 0.95):7.3f} ms{ratio}",
        flush=True,
    )
    return p50


def bar(what: str, held: bool) -> None:
    BARS.append((what, held))


async def timed(call: Callable[[], Awaitable[Any]], count: int) -> list[float]:
    found = []
    for _ in range(count + count // 10):
        began = time.perf_counter()
        await call()
        found.append(time.perf_counter() - began)
    return found[count // 10 :]


def bare_rest(address: str, facts: dict[str, Any], count: int) -> list[float]:
    """OPA's REST API on one kept connection, with nothing of ours between."""
    body = json.dumps({"input": facts})
    host, _, port = address.rpartition(":")
    connection, found = http.client.HTTPConnection(host, int(port)), []
    for _ in range(count + count // 10):
        began = time.perf_counter()
        connection.request(
            "POST", "/v1/data/plateward/main/decision", body, {"Content-Type": "application/json"}
        )
        answer = json.loads(connection.getresponse().read())
        found.append(time.perf_counter() - began)
        assert answer["result"]["effect"] == "allow"
    return found[count // 10 :]


def opa_bench(opa: Path, bundle: PolicyBundle, facts: dict[str, Any], folder: Path) -> None:
    """`opa bench`: the evaluation alone, without HTTP."""
    (folder / "input.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "bundle.tar.gz").write_bytes(pack(bundle, load_or_create_signing_key(folder / "key.pem")))
    command = [
        str(opa),
        "bench",
        "--bundle",
        str(folder / "bundle.tar.gz"),
        "--input",
        str(folder / "input.json"),
        "--format",
        "json",
        "data.plateward.main.decision",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        told = json.loads(done.stdout)
        print(
            f"{'opa bench, evaluation alone (prepared query)':64s} avg {told['T'] / told['N'] / 1e6:7.3f} ms   {told['N']} runs",
            flush=True,
        )
    except (ValueError, KeyError, ZeroDivisionError):
        print(f"opa bench: {done.stdout or done.stderr}", flush=True)


def request() -> access_pb2.DecideRequest:
    now = datetime.now(UTC)
    asked = access_pb2.DecideRequest(action=action_pb2.ACTION_SEARCH, owner_agency_ids=["elk-grove-pd"])
    asked.subject.CopyFrom(
        types_pb2.Subject(
            agency_id="elk-grove-pd",
            kind=action_pb2.CALLER_KIND_PORTAL,
            member_id="m-1042",
            member_name="Ofc. Dana Reyes",
            amr=["pwd", "otp"],
        )
    )
    asked.purpose.CopyFrom(
        types_pb2.Purpose(
            offence="vehicle-theft",
            case_number="26-004312",
            reason="silver Accord taken from Laguna Blvd at night",
        )
    )
    asked.window.start.FromDatetime(now - timedelta(days=1))
    asked.window.end.FromDatetime(now)
    return asked


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def engines(bundle: PolicyBundle, facts: dict[str, Any], count: int) -> None:
    """The in-process engine by itself: the same input again, and inputs that it has not seen."""
    engine = RegopyEngine()
    await engine.load(bundle)

    async def anew() -> None:
        engine.evaluate_anew(facts)

    p50 = line("regopy, evaluated anew each time", await timed(anew, count))
    bar(f"in-process decision, evaluated anew: p50 {p50:.2f} ms <= 1.5 ms", p50 <= 1.5)
    cells = [case.facts for case, _ in zip(matrix(bundle), range(count * 4), strict=False)]
    found = []
    for cell in cells:
        began = time.perf_counter()
        engine.evaluate_anew(cell)
        found.append(time.perf_counter() - began)
    line(f"regopy, {len(cells)} different inputs of the matrix", found)
    line(
        "regopy, an input decided before by this version", await timed(lambda: engine.evaluate(facts), count)
    )
    await engine.close()


async def through_service(stack: Stack, root: Path, base: float, count: int) -> None:
    asked, name = request(), stack.policy_engine.split(" ")[0]
    async with Connection.load(root).channel("access", "service") as channel:
        stub = access_pb2_grpc.AccessServiceStub(channel)
        answer = await stub.Decide(asked)
        assert answer.decision.effect == decision_pb2.EFFECT_ALLOW, answer

        async def again() -> None:
            await stub.Decide(asked)

        p50 = line(
            f"through the service (gRPC, mutual TLS, PostgreSQL), {name}", await timed(again, count), base
        )
        bar(f"through the service, {name}: {p50 / base:.2f}x bare OPA <= 2x", p50 <= 2 * base)
        pid = next(row.pid for row in stack.status() if row.name == "access")
        cpu, began, each = cpu_seconds(pid), time.perf_counter(), count // 8

        async def many() -> None:
            for _ in range(each):
                await stub.Decide(asked)

        await asyncio.gather(*(many() for _ in range(16)))
        took, used = time.perf_counter() - began, cpu_seconds(pid) - cpu
        rate = 16 * each / used
        print(
            f"{'throughput, 16 callers at once':64s} {16 * each / took:7.0f} /s   {rate:7.0f} per CPU-second of access",
            flush=True,
        )
        bar(f"throughput of access, {name}: {rate:.0f} decisions per CPU-second > 1000", rate > 1000)


async def measure(count: int) -> None:
    opa = find_opa()
    if opa is None:
        raise SystemExit("OPA is missing: `make opa` installs it")
    bundle = load_bundle(sample_document("elk-grove-pd"))
    facts = engine_input(
        bundle, {"attested": False, "reason": "silver Accord taken from Laguna Blvd at night"}, {}
    )
    print(
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start; {count} calls each\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        opa_bench(opa, bundle, facts, Path(folder))
        await engines(bundle, facts, count)
        for used in (opa, None):
            root = Path(folder) / ("opa" if used else "regopy")
            stack = Stack(root, opa=used)
            try:
                await asyncio.to_thread(stack.start_all, lambda _step: None)
                if used:
                    base = line(
                        "bare OPA, REST on a kept connection",
                        await asyncio.to_thread(bare_rest, stack._target("opa"), facts, count),
                    )
                    client = OpaEngine(
                        f"http://{stack._target('opa')}",
                        "127.0.0.1:0",
                        load_or_create_signing_key(root / "keys" / "policy-signing.pem"),
                    )
                    await client._client.__aenter__()
                    line(
                        "OPA through opa-python-client",
                        await timed(lambda c=client: c.evaluate(facts), count),
                        base,
                    )
                    await client._client.close_connection()
                await through_service(stack, root, base, count)
            finally:
                await asyncio.to_thread(stack.stop)
    print()
    for what, held in BARS:
        print(f"{'held' if held else 'MISSED':6s}  {what}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000, help="calls of each kind")
    uvloop.run(measure(parser.parse_args().count))


if __name__ == "__main__":
    main()
