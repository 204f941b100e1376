"""``plateward entries``: the agency's own hotlist: one member enters a plate, another puts it in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clients.cli.calls import HERE, Connect, id_column, recorded
from clients.cli.lists import call_hotlist
from plateward.common.v1 import recognition_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2

app = typer.Typer(
    no_args_is_help=True,
    help="The agency's own hotlist: add a plate, approve what another member added, remove, list.",
)
Member = Annotated[str, typer.Option(help="Member who acts (development issuer).")]
EntryId = Annotated[str, typer.Argument(help="Entry ID, from `plateward entries list`.")]
_OFFICER, _SUPERVISOR = "m-1042", "m-1077"


class Most(StrEnum):
    """The most that a hit may lead to."""

    stop = "stop"
    lead = "lead"
    inform = "inform"


@app.command()
def add(
    plate: Annotated[
        str, typer.Argument(help="Plate; ? is one unknown character, and then it is a lead at most.")
    ],
    category: Annotated[str, typer.Option(help="Code of what it is about. Example: stolen-vehicle.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence; on record with the entry.")],
    case: Annotated[str, typer.Option(help="Case number. Example: 26-004312.")],
    offence: Annotated[str, typer.Option(help="Offence of the published policy.")] = "vehicle-theft",
    state: Annotated[
        str, typer.Option(help="Issuing state; without it hits are leads at most. Example: US-CA.")
    ] = "",
    vehicle: Annotated[str, typer.Option(help="car, truck, bus or motorcycle, where known.")] = "",
    colour: Annotated[str, typer.Option(help="Colour, where known. Example: silver.")] = "",
    days: Annotated[float, typer.Option(min=0.01, help="How many days it is to match.")] = 14,
    most: Annotated[Most, typer.Option(help="The most that a confirmed hit may lead to.")] = Most.stop,
    member: Member = _OFFICER,
    connect: Connect = HERE,
) -> None:
    """Add a plate. It matches nothing before another member has approved it."""
    entry = hit_pb2.HotlistEntry(
        plate=plate, state=state, colour=colour, category=category, reason=reason, case_number=case,
        max_action=hit_pb2.MaxAction.Value(f"MAX_ACTION_{most.name.upper()}"),
    )  # fmt: skip
    if vehicle:
        name = f"VEHICLE_TYPE_{vehicle.upper()}"
        if name not in recognition_pb2.VehicleType.keys():  # noqa: SIM118 - an enum wrapper, no dict
            raise typer.BadParameter(f"{vehicle!r} is none of car, truck, bus, motorcycle")
        entry.vehicle_type = recognition_pb2.VehicleType.Value(name)
    entry.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    purpose = types_pb2.Purpose(offence=offence, case_number=case, reason=reason)
    request = hotlist_pb2.CreateEntryRequest(purpose=purpose, entry=entry)
    made = call_hotlist(connect, member, lambda stub, o: stub.CreateEntry(request, **o))
    print(
        f"entry {made.entry.entry_id} waits for its second person: plateward entries approve {made.entry.entry_id}"
    )
    recorded(connect, made.receipt)


@app.command()
def approve(entry_id: EntryId, member: Member = _SUPERVISOR, connect: Connect = HERE) -> None:
    """Put an entry in force that another member added."""
    request = hotlist_pb2.ApproveEntryRequest(entry_id=entry_id)
    done = call_hotlist(connect, member, lambda stub, o: stub.ApproveEntry(request, **o))
    print(f"{done.entry.plate} is looked for from now on")
    recorded(connect, done.receipt)


@app.command()
def remove(
    entry_id: EntryId,
    reason: Annotated[str, typer.Option(help="Why. Example: vehicle recovered.")],
    member: Member = _OFFICER,
    connect: Connect = HERE,
) -> None:
    """Take an entry out, at once: also hits on it that are being verified lead nowhere any more."""
    request = hotlist_pb2.RemoveEntryRequest(entry_id=entry_id, reason=reason)
    done = call_hotlist(connect, member, lambda stub, o: stub.RemoveEntry(request, **o))
    print("removed")
    recorded(connect, done.receipt)


@app.command("list")
def list_entries(
    list_id: Annotated[str, typer.Option("--list", help="Another list of the agency.")] = "",
    rows: Annotated[int, typer.Option(min=1, max=500, help="Most rows to show.")] = 100,
    member: Member = _OFFICER,
    connect: Connect = HERE,
) -> None:
    """List the entries of the agency's own list: what is looked for, why, until when, and who stands for it."""
    request = hotlist_pb2.ListEntriesRequest(list_id=list_id, page=types_pb2.PageRequest(size=rows))
    answer = call_hotlist(connect, member, lambda stub, o: stub.ListEntries(request, **o))
    table = Table(
        id_column("entry"), "plate", "for", "until", "most", "added by", "approved by", highlight=False
    )
    for e in answer.entries:
        table.add_row(
            e.entry_id, f"{e.plate} {e.state}".strip(), f"{e.category}: {e.reason} {e.case_number}".strip(),
            f"{e.expires_at.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M}", hit_pb2.MaxAction.Name(e.max_action).removeprefix("MAX_ACTION_").lower(),
            e.created_by, e.approved_by or "[yellow]nobody yet[/]",
        )  # fmt: skip
    Console().print(table if answer.entries else "no entries: plateward entries add PLATE …")
    if answer.next_page_token:
        print(f"more than {rows}: ask for more with --rows")
    recorded(connect, answer.receipt)
