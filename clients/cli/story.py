"""The demo's story: one read, one query, one hit, one audit, each with what must be refused.

Every step states what must happen and fails the demo when it does not: the demo is also a test.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from clients.cli import tamper
from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.common.v1 import errors_pb2, recognition_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2, hotlist_pb2_grpc
from plateward.reads.v1 import read_pb2, reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer
from servicekit.errors import PlatewardError, parse_rpc_error

OFFICER, SUPERVISOR, UNTRAINED, ADMINISTRATOR = "m-1042", "m-1077", "m-1099", "m-3001"
CAMERA = "cam-laguna-1"
WANTED = "7KXR482"
SEED = 11


class StoryError(Exception):
    """Something that must happen did not; the message says what."""


def purpose(offence: str = "vehicle-theft", reason: str = "") -> types_pb2.Purpose:
    """Return the purpose that the demo's officer gives."""
    return types_pb2.Purpose(
        offence=offence,
        case_number="26-004312",
        reason=reason or "Silver Accord taken from Laguna Blvd at 03:10, owner reported its plate",
    )


class Story:
    """Tells the demo against a running stack."""

    def __init__(self, stack: Stack, root: Path, console: Console) -> None:
        self._stack = stack
        self._root = root
        self._console = console
        self._connection = Connection.load(root)

    async def tell(self) -> None:
        """Tell the whole story.

        Raises:
            StoryError: a step did not end as it must.
        """
        await self._prepare()
        await self._traffic()
        await self._search()
        await self._refusals()
        await self._hit()
        await self._verify_log()

    # ------------------------------------------------------------------ steps

    async def _prepare(self) -> None:
        self._head(
            "1",
            "An administrator registers the camera; an officer enters a wanted plate, a supervisor approves it",
        )
        async with self._reads("portal") as reads:
            camera = reads_pb2.Camera(
                camera_id=CAMERA, name="Laguna Blvd at Big Horn, eastbound", heading=90, active=True,
                place=types_pb2.Place(latitude=38.4088, longitude=-121.3716),
            )  # fmt: skip
            await reads.PutCamera(reads_pb2.PutCameraRequest(camera=camera), metadata=self._as(ADMINISTRATOR))
        async with self._hotlist() as hotlist:
            listed = await hotlist.ListEntries(hotlist_pb2.ListEntriesRequest(), metadata=self._as(OFFICER))
            if any(e.plate == WANTED and e.approved_by for e in listed.entries):
                self._console.print(f"  {WANTED} is on the list from an earlier run")
                return
            entry = hit_pb2.HotlistEntry(
                plate=WANTED, category="stolen-vehicle", reason="reported stolen from Laguna Blvd",
                case_number="26-004312", max_action=hit_pb2.MAX_ACTION_STOP,
            )  # fmt: skip
            entry.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=14))
            made = await hotlist.CreateEntry(
                hotlist_pb2.CreateEntryRequest(purpose=purpose(), entry=entry), metadata=self._as(OFFICER)
            )
            approval = hotlist_pb2.ApproveEntryRequest(entry_id=made.entry.entry_id)
            await self._refused(
                "an officer approves their own entry",
                hotlist.ApproveEntry(approval, metadata=self._as(OFFICER)),
            )
            await hotlist.ApproveEntry(approval, metadata=self._as(SUPERVISOR))
        self._console.print(f"  {WANTED} is on the agency's list, checked by a second person")

    async def _traffic(self) -> None:
        self._head(
            "2",
            "The camera gateway plays generated street scenes through the recognizer; reads land once per vehicle pass",
        )
        code = await self._command(
            "gateway", "--connect", str(self._root), "--once", "--seed", str(SEED), "--plate", WANTED
        )
        if code != 0:
            raise StoryError(f"the gateway ended with exit code {code}")

    async def _search(self) -> None:
        self._head(
            "3",
            "An officer with a second factor and a purpose searches, and gets an audit receipt with the answer",
        )
        async with self._reads("portal") as reads:
            answer = await reads.SearchReads(self._query(WANTED), metadata=self._as(OFFICER))
        if not answer.reads:
            raise StoryError(f"the search for {WANTED} found nothing, though the gateway played it")
        table = Table(
            "plate",
            "confidence",
            "state",
            "vehicle",
            "seen",
            "why",
            title=f"{len(answer.reads)} read(s)",
            title_justify="left",
        )
        for ranked in answer.reads[:8]:
            table.add_row(*self._row(ranked.read), ranked.why)
        self._console.print(table)
        receipt = answer.receipt
        self._console.print(
            f"  receipt: entry [bold]#{receipt.index}[/] of the audit log, {len(receipt.inclusion_proof)} hashes to a signed checkpoint\n"
            f"  decided: {answer.decision.rule} by {answer.decision.engine}, policy {answer.decision.policy_version}, "
            f"grounds {', '.join(answer.decision.grounds)}"
        )
        self._connection.receipts_dir.mkdir(parents=True, exist_ok=True)
        target = self._connection.receipts_dir / f"{receipt.event_id}.json"
        target.write_text(json_format.MessageToJson(receipt), encoding="utf-8")

    async def _refusals(self) -> None:
        self._head("4", "The same search is refused, and the refusal names the rule")
        async with (
            self._reads("portal") as reads,
            self._reads("reno-pd") as reno,
            self._reads("ice-ero") as federal,
        ):
            query = self._query(WANTED)
            immigration = self._query(WANTED, offence="immigration-enforcement")
            worded = self._query(WANTED, reason="ICE warrant, find the vehicle of the registered owner")
            vague = self._query(WANTED, reason="investigation")
            partner = self._query(WANTED, owner="elk-grove-pd")
            partner.purpose.onward_use_attested = True
            no_mfa = bearer(self._connection.token(OFFICER, amr=("pwd",)))
            await self._refused(
                "for immigration enforcement",
                reads.SearchReads(immigration, metadata=self._as(OFFICER)),
                "immigration",
            )
            await self._refused(
                "for immigration, worded otherwise",
                reads.SearchReads(worded, metadata=self._as(OFFICER)),
                "immigration",
            )
            await self._refused(
                "with a vague reason", reads.SearchReads(vague, metadata=self._as(OFFICER)), "reason"
            )
            await self._refused("without a second factor", reads.SearchReads(query, metadata=no_mfa), "mfa")
            await self._refused(
                "with expired training", reads.SearchReads(query, metadata=self._as(UNTRAINED)), "training"
            )
            await self._refused(
                "by an out-of-state partner",
                reno.SearchReads(partner, metadata=self._as("reno-7")),
                "out-of-state",
            )
            await self._refused(
                "by a federal agency", federal.SearchReads(partner, metadata=self._as("ice-1")), "federal"
            )

    async def _hit(self) -> None:
        self._head(
            "5",
            "The hit is unverified: nothing may be done on it until a person has compared picture and entry",
        )
        async with self._hotlist() as hotlist:
            hit = await self._raised_hit(hotlist)
            explained = "  ".join(
                f"{c.read}={c.entry}"
                if c.match == hit_pb2.CHARACTER_MATCH_SAME
                else f"[yellow]{c.read}≠{c.entry}[/]"
                for c in hit.explanation
            )
            self._console.print(
                Panel(
                    f"[bold red]UNVERIFIED[/]  read {hit.read.plate.text}  entry {hit.entry.plate}  match {hit.match_kind}\n{explained}\n"
                    f"most it may lead to: {hit_pb2.MaxAction.Name(hit.max_action)}  {'; '.join(hit.demotions)}",
                    title="hit",
                    expand=False,
                )
            )
            action = hotlist_pb2.RecordActionRequest(
                hit_id=hit.hit_id, action=hit_pb2.HIT_ACTION_INVESTIGATE, note="looked into"
            )
            await self._refused(
                "acting on the unverified hit",
                hotlist.RecordAction(action, metadata=self._as(OFFICER)),
                "HIT_UNVERIFIED",
            )
            await hotlist.ClaimHit(hotlist_pb2.ClaimHitRequest(hit_id=hit.hit_id), metadata=self._as(OFFICER))
            claim = hotlist_pb2.ClaimHitRequest(hit_id=hit.hit_id)
            await self._refused(
                "a second verifier on the same hit",
                hotlist.ClaimHit(claim, metadata=self._as(SUPERVISOR)),
                "HIT_CLAIMED",
            )
            await self._sheet(hit.hit_id)
            await hotlist.CompareHit(
                hotlist_pb2.CompareHitRequest(
                    hit_id=hit.hit_id, plate=hit_pb2.COMPARISON_SAME, state=hit_pb2.COMPARISON_NOT_VISIBLE, vehicle=hit_pb2.COMPARISON_SAME,
                    note="characters compared one by one",
                ),
                metadata=self._as(OFFICER),
            )  # fmt: skip
            check = hotlist_pb2.CheckRecordsRequest(
                hit_id=hit.hit_id, result=hit_pb2.RECORDS_RESULT_CONFIRMED
            )
            await self._refused(
                "calling it confirmed without the originating agency",
                hotlist.CheckRecords(check, metadata=self._as(OFFICER)),
                "HIT_STATE",
            )
            await self._confirmation(hotlist, hit.hit_id)
            await hotlist.CheckRecords(check, metadata=self._as(OFFICER))
            done = await hotlist.RecordAction(action, metadata=self._as(OFFICER))
        self._console.print(
            f"  [green]after claim, comparison and records check:[/] {hit_pb2.HitState.Name(done.hit.state)}"
        )

    async def _sheet(self, hit_id: str) -> None:
        """Write the comparison sheet with the pictures that are kept with the hit, as the verifier would."""
        page = self._root / "hit.html"
        command = (
            "hits",
            "sheet",
            hit_id,
            "--connect",
            str(self._root),
            "--out",
            str(page),
            "--member",
            OFFICER,
        )
        if await self._command(*command) != 0 or page.read_text("utf-8").count("data:image/jpeg") != 2:
            raise StoryError("the comparison sheet lacks a picture; see logs/hotlist.log")

    async def _confirmation(self, hotlist: Any, hit_id: str) -> None:
        """Ask the originating agency through the (simulated) message switch and wait for its answer."""
        request = hotlist_pb2.RequestConfirmationRequest(hit_id=hit_id, urgency=hit_pb2.URGENCY_URGENT)
        asked = (await hotlist.RequestConfirmation(request, metadata=self._as(OFFICER))).hit.confirmation
        minutes = (asked.due_at.ToDatetime() - asked.requested_at.ToDatetime()).total_seconds() / 60
        self._console.print(f"  originating agency asked; it has {minutes:.0f} minutes")
        for _ in range(60):
            listed = await hotlist.ListHits(hotlist_pb2.ListHitsRequest(), metadata=self._as(OFFICER))
            (asked,) = (h.confirmation for h in listed.hits if h.hit_id == hit_id)
            if asked.result:
                self._console.print(
                    f"  answered: {hit_pb2.RecordsResult.Name(asked.result)}, {asked.answered_by}"
                )
                return
            await asyncio.sleep(0.5)
        raise StoryError("the message switch gave no answer; its log is logs/switch.log")

    async def _verify_log(self) -> None:
        self._head(
            "6",
            "Anyone checks the log offline, with what an outside witness cosigned; an altered row is found",
        )
        export = self._root / "audit-export"
        receipts = str(self._connection.receipts_dir)
        dump = ("audit", "export", str(export), "--connect", str(self._root))
        witness = self._stack.witness
        check = (
            "audit", "verify", "--export", str(export), "--receipts", receipts, "--witness", witness.vkey, "--seen", str(witness.state),
        )  # fmt: skip
        if await self._command(*dump) != 0 or await self._command(*check) != 0:
            raise StoryError("the untouched log did not verify")
        self._console.print(
            "\n  Now a database administrator alters one row, with every trigger and permission switched off:"
        )
        async with tamper.altered_row(self._stack.database_url("audit")) as index:
            self._console.print(f"  [yellow]UPDATE … entry #{index}[/]  (put back afterwards)")
            if await self._command(*dump) != 0:
                raise StoryError("the export failed on the altered log")
            if await self._command(*check) == 0:
                raise StoryError("the altered log verified: tampering went unnoticed")
        self._console.print(f"  [green]found:[/] verification failed and named entry #{index}")

    # ---------------------------------------------------------------- helpers

    def _head(self, number: str, text: str) -> None:
        self._console.print(f"\n[bold cyan]{number}[/]  [bold]{text}[/]")

    def _as(self, member: str) -> tuple[tuple[str, str], ...]:
        return bearer(self._connection.token(member))

    @asynccontextmanager
    async def _reads(self, identity: str) -> AsyncIterator[Any]:
        async with self._connection.channel("reads", identity) as channel:
            yield reads_pb2_grpc.ReadsServiceStub(channel)

    @asynccontextmanager
    async def _hotlist(self) -> AsyncIterator[Any]:
        async with self._connection.channel("hotlist", "portal") as channel:
            yield hotlist_pb2_grpc.HotlistServiceStub(channel)

    def _query(
        self, plate: str, *, offence: str = "vehicle-theft", reason: str = "", owner: str = ""
    ) -> reads_pb2.SearchReadsRequest:
        request = reads_pb2.SearchReadsRequest(purpose=purpose(offence, reason), plate=plate, lookalikes=True)
        now = datetime.now(UTC)
        request.window.start.FromDatetime(now - timedelta(days=1))
        request.window.end.FromDatetime(now + timedelta(minutes=1))
        if owner:
            request.owner_agency_ids.append(owner)
        return request

    @staticmethod
    def _row(read: read_pb2.Read) -> tuple[str, ...]:
        kind = recognition_pb2.VehicleType.Name(read.vehicle.type).removeprefix("VEHICLE_TYPE_").lower()
        seen = read.seen_at.ToDatetime(UTC).strftime("%H:%M:%S")
        return (
            read.plate.text,
            f"{read.plate.confidence:.2f}",
            read.plate.state or "unknown",
            f"{read.vehicle.colour} {kind}",
            seen,
        )

    async def _refused(self, what: str, call: Awaitable[Any], names: str = "") -> None:
        """Await a call that must be refused, and show the refusal; ``names`` must appear in reason or rule."""
        try:
            await call
        except grpc.aio.AioRpcError as error:
            fault = parse_rpc_error(error)
            if fault is None:
                raise StoryError(
                    f"{what}: refused without a typed reason: {error.code().name} {error.details()}"
                ) from error
            self._show_refusal(what, fault, names)
            return
        raise StoryError(f"{what}: was answered, and must be refused")

    def _show_refusal(self, what: str, fault: PlatewardError, names: str) -> None:
        reason = errors_pb2.ErrorReason.Name(fault.reason)
        rule = fault.metadata.get("rule", "")
        if names.lower() not in f"{reason} {rule}".lower():
            raise StoryError(f"{what}: refused by {rule or reason}, expected one that names {names!r}")
        self._console.print(f"  [red]refused[/] {what}: [bold]{rule or reason}[/] — {fault}")

    async def _raised_hit(self, hotlist: Any, patience_s: float = 20.0) -> hit_pb2.Hit:
        deadline = asyncio.get_running_loop().time() + patience_s
        while asyncio.get_running_loop().time() < deadline:
            listed = await hotlist.ListHits(
                hotlist_pb2.ListHitsRequest(state=hit_pb2.HIT_STATE_RAISED), metadata=self._as(OFFICER)
            )
            for hit in listed.hits:
                if hit.entry.plate == WANTED:
                    return hit  # type: ignore[no-any-return]
            await asyncio.sleep(0.5)
        raise StoryError(f"no hit was raised for {WANTED} within {patience_s:.0f} s")

    async def _command(self, *arguments: str) -> int:
        """Run a ``plateward`` command as the user would, showing it; return its exit code."""
        self._console.print(f"  [dim]$ plateward {' '.join(arguments)}[/]")
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "clients.cli", *arguments)
        return await process.wait()
