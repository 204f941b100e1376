"""``plateward search``: one search by one member for one purpose, with the receipt that it is on record."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from clients.cli.areas import area
from clients.cli.refusals import end_refused
from clients.connection import Connection
from plateward.common.v1 import recognition_pb2, types_pb2
from plateward.common.v1.receipt_pb2 import Receipt
from plateward.reads.v1 import read_pb2, reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer

_SPAN = re.compile(r"([0-9]{1,5})\s*([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TIMEOUT_S = 15.0


class VehicleKind(Enum):
    """Body types that can be asked for."""

    car = "car"
    truck = "truck"
    bus = "bus"
    motorcycle = "motorcycle"


def search(
    plate: Annotated[
        str,
        typer.Argument(
            help="Plate or pattern: ? is one unknown character, * any run, [AB1] one of several; '' for any. Example: '7K?R*'."
        ),
    ],
    offence: Annotated[str, typer.Option(help="Offence of the published policy. Example: vehicle-theft.")],
    reason: Annotated[str, typer.Option(help="What this look is for, in a sentence.")],
    case: Annotated[str, typer.Option(help="Case number. Example: 26-004312.")] = "",
    event: Annotated[str, typer.Option(help="CAD event number, where no case exists yet.")] = "",
    since: Annotated[
        str, typer.Option(help="How far back: 30m, 12h, 7d; or a time such as 2026-11-22T08:00Z.")
    ] = "24h",
    until: Annotated[str, typer.Option(help="Up to when; now if left out.")] = "",
    lookalikes: Annotated[
        bool, typer.Option("--lookalikes/--as-typed", help="Also plates that look alike (0/O, 8/B, ...).")
    ] = True,
    state: Annotated[str, typer.Option(help="Only this issuing state. Example: US-CA.")] = "",
    camera: Annotated[list[str] | None, typer.Option(help="Only these cameras; repeat for several.")] = None,
    near: Annotated[
        str, typer.Option(help="Only in this area: latitude,longitude,metres, or three or more corners.")
    ] = "",
    vehicle_type: Annotated[VehicleKind | None, typer.Option(help="Only this body type.")] = None,
    colour: Annotated[str, typer.Option(help="Only this colour. Example: silver.")] = "",
    owner: Annotated[
        list[str] | None, typer.Option(help="Agencies whose reads are wanted; your own if left out.")
    ] = None,
    attest_onward_use: Annotated[
        bool, typer.Option(help="A partner attests that results serve no prohibited use.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Most rows to show.")] = 50,
    page: Annotated[
        str, typer.Option(help="Go on after a page: what the page before said, with the same search.")
    ] = "",
    ask_approval: Annotated[
        bool,
        typer.Option(
            help="Do not search: ask for the second person that a wide search needs (plateward approvals)."
        ),
    ] = False,
    member: Annotated[str, typer.Option(help="Member who searches (development issuer).")] = "m-1042",
    identity: Annotated[str, typer.Option(help="Client certificate of the connection folder.")] = "portal",
    connect: Annotated[Path, typer.Option(help="Connection folder, which holds stack.json.")] = Path(
        ".plateward"
    ),
) -> None:
    """Search the reads; the answer carries the receipt of its record in the audit log."""
    request = reads_pb2.SearchReadsRequest(
        purpose=types_pb2.Purpose(
            offence=offence,
            case_number=case,
            event_number=event,
            reason=reason,
            onward_use_attested=attest_onward_use,
        ),
        plate=plate,
        lookalikes=lookalikes,
        state=state,
        camera_ids=camera or [],
        owner_agency_ids=owner or [],
        vehicle_type=recognition_pb2.VehicleType.Value(f"VEHICLE_TYPE_{vehicle_type.value.upper()}")
        if vehicle_type
        else recognition_pb2.VEHICLE_TYPE_UNSPECIFIED,
        colour=colour,
        area=area(near) if near else None,
        page=types_pb2.PageRequest(size=rows, token=page),
    )
    now = datetime.now(UTC)
    request.window.start.FromDatetime(instant(since, now))
    request.window.end.FromDatetime(instant(until, now) if until else now + timedelta(minutes=1))
    if ask_approval:
        from clients.cli.approvals import ask_for

        ask_for(connect, member, request)
    else:
        make_search(connect, identity, member, request)


def make_search(connect: Path, identity: str, member: str, request: reads_pb2.SearchReadsRequest) -> None:
    """Make a search, and show what was found, why it was allowed, and where it is on record."""
    connection = Connection.load(connect)
    console = Console()
    try:
        answer = asyncio.run(_ask(connection, identity, member, request))
    except grpc.aio.AioRpcError as error:
        end_refused(error)
    console.print(table(answer))
    if answer.next_page_token:
        console.print(more(request, answer.next_page_token), soft_wrap=True, highlight=False)
    decision = answer.decision
    console.print(
        f"Allowed by {decision.rule or 'policy'}, policy version {decision.policy_version}, for "
        f"{' '.join(filter(None, (request.purpose.offence, request.purpose.case_number)))}."
    )
    kept = keep_receipt(connection.receipts_dir, answer.receipt)
    console.print(
        f"Recorded as entry [bold]#{answer.receipt.index}[/] of the audit log; receipt kept in {kept}"
    )


def more(request: reads_pb2.SearchReadsRequest, token: str) -> str:
    """Return how to go on after a page: a page belongs to its search, whose times are now fixed ones."""
    start, end = (
        at.ToDatetime(UTC).isoformat().replace("+00:00", "Z")
        for at in (request.window.start, request.window.end)
    )
    return (
        "There are more: narrow the search, raise --rows, or go on with the same search and "
        f"--since {start} --until {end} --page {token}"
    )


def instant(text: str, now: datetime) -> datetime:
    """Return the time that ``12h`` (back from now) or an ISO 8601 time stands for.

    Raises:
        typer.BadParameter: the text is neither.
    """
    if match := _SPAN.fullmatch(text.strip()):
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time: write 30m, 12h, 7d or 2026-11-22T08:00Z") from error
    return given if given.tzinfo else given.astimezone()


def table(answer: reads_pb2.SearchReadsResponse) -> Table:
    """Return the reads of an answer as a table."""
    shown = Table(
        title=f"{len(answer.reads)} read(s)", title_justify="left", caption_justify="left", highlight=False
    )
    for column in ("seen", "plate", "sure", "state", "vehicle", "camera", "why", "read ID"):
        shown.add_column(column, overflow="fold")
    for ranked in answer.reads:
        read = ranked.read
        seen = read.seen_at.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        shown.add_row(
            seen, f"[bold]{read.plate.text}[/]", f"{read.plate.confidence:.0%}", read.plate.state or "unknown",
            vehicle(read), read.camera_id, ranked.why, read.read_id,
        )  # fmt: skip
    return shown


def vehicle(read: read_pb2.Read) -> str:
    """Return colour and type in words. Example: ``silver car``."""
    kind = recognition_pb2.VehicleType.Name(read.vehicle.type).removeprefix("VEHICLE_TYPE_").lower()
    words = (read.vehicle.colour, "" if kind == "unspecified" else kind)
    return " ".join(word for word in words if word) or "unknown"


def keep_receipt(folder: Path, receipt: Receipt) -> Path:
    """Write a receipt as JSON under its event's ID; return where."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{receipt.event_id}.json"
    target.write_text(json_format.MessageToJson(receipt), encoding="utf-8")
    return target


async def _ask(
    connection: Connection, identity: str, member: str, request: reads_pb2.SearchReadsRequest
) -> reads_pb2.SearchReadsResponse:
    async with connection.channel("reads", identity) as channel:
        stub = reads_pb2_grpc.ReadsServiceStub(channel)
        return await stub.SearchReads(request, metadata=bearer(connection.token(member)), timeout=_TIMEOUT_S)
