"""``plateward lists``: bring hotlists in, see how old they are and what changed, share them, sign vehicles off."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import grpc
import typer
from rich.console import Console
from rich.table import Table

from clients.cli.refusals import end_refused
from clients.cli.search import keep_receipt
from clients.connection import Connection
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2, hotlist_pb2_grpc
from servicekit.channels import bearer

app = typer.Typer(
    no_args_is_help=True,
    help="Hotlists: show, import, diff, push, accept, clear; how often hits were right; post hits to a webhook.",
)
_T = TypeVar("_T")
_CHUNK = 256 * 1024
_TIMEOUT_S = 30.0
_BAR = 20
# A million rows take minutes; an import that is broken off goes on where it was.
_IMPORT_TIMEOUT_S = 3600.0
_HERE = Path(".plateward")
_OFFICER = "m-1042"
Member = Annotated[str, typer.Option(help="Member who acts (development issuer).")]
Connect = Annotated[Path, typer.Option(help="Connection folder, which holds stack.json.")]
ListId = Annotated[str, typer.Argument(help="List ID, from `plateward lists show`.")]


@app.command()
def show(member: Member = _OFFICER, connect: Connect = _HERE) -> None:
    """Show the lists in force for the agency: where from, how old, the most that their hits may lead to.

    A list older than its limit still matches, but its hits are leads at most and say so; older than twice its limit it raises
    no hits until it is imported again.
    """
    answer = call_hotlist(
        connect, member, lambda stub, o: stub.ListHotlists(hotlist_pb2.ListHotlistsRequest(), **o)
    )
    table = Table(title=f"{len(answer.lists)} list(s)", title_justify="left", highlight=False)
    for column in ("list", "of", "source", "entries", "age", "limit", "most", "import on its way"):
        table.add_column(column, overflow="fold")
    for known in answer.lists:
        age = _span(known.list_age_s)
        if known.matching_off:
            age = f"[bold red]{age}, off: import it again[/]"
        elif known.list_age_s > known.max_age_s:
            age = f"[bold red]{age}, too old[/]"
        table.add_row(
            known.list_id, known.agency_id, known.source, f"{known.entries:,}",
            age, _span(known.max_age_s),
            _most(known.max_action), f"byte {known.import_offset:,}" if known.import_offset else "",
        )  # fmt: skip
    Console().print(table)


@app.command("import")
def import_list(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV file, its first line the columns.")
    ],
    list_id: Annotated[str, typer.Option("--list", help="List to put in force. Example: ncic-vehicle.")],
    as_of: Annotated[str, typer.Option(help="When the source was current. Example: 2026-11-23T06:00Z.")],
    source: Annotated[str, typer.Option(help="Where it comes from. Example: 'NCIC Vehicle File'.")] = "",
    mapping: Annotated[
        str, typer.Option(help="ncic: columns LIC LIS ... OAN; agency: plate,state,category,reason,...")
    ] = "ncic",
    max_age_hours: Annotated[
        float, typer.Option(min=0.1, help="Older than this, its hits are leads only.")
    ] = 24,
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Import a list, swapped in at once when it is whole; say what was added, removed, changed and dropped, and why.

    Broken off? The same command goes on where it was. Immigration rows are dropped and counted (Gov. Code 7284.6); stored,
    repossessed and lost vehicles never lead to a stop; partial plates are no official entries.
    """
    wanted = hotlist_pb2.Hotlist(
        list_id=list_id, source=source or file.name, max_age_s=int(max_age_hours * 3600)
    )
    moment = _moment(as_of)
    wanted.as_of.FromDatetime(moment)
    known = call_hotlist(
        connect, member, lambda stub, o: stub.ListHotlists(hotlist_pb2.ListHotlistsRequest(), **o)
    )
    offset = next((k.import_offset for k in known.lists if k.list_id == list_id), 0)
    if offset:
        Console().print(
            f"An import of {list_id} is on its way: what the service has already is not staged twice."
        )

    async def parts() -> AsyncIterator[hotlist_pb2.ImportListRequest]:
        # From the start: the service passes over what it has of the same state, and begins anew with another.
        yield hotlist_pb2.ImportListRequest(list=wanted, mapping=mapping)
        with file.open("rb") as data:
            while chunk := await asyncio.to_thread(data.read, _CHUNK):
                yield hotlist_pb2.ImportListRequest(chunk=chunk)

    answer = call_hotlist(
        connect, member, lambda stub, o: stub.ImportList(parts(), **(o | {"timeout": _IMPORT_TIMEOUT_S}))
    )
    console = Console(highlight=False)
    console.print(
        f"{list_id}: {answer.rows:,} rows; {answer.added:,} added, {answer.removed:,} removed, {answer.changed:,} changed; "
        f"{answer.list.entries:,} entries in force"
    )
    for reason, count in sorted(answer.dropped.items()):
        console.print(f"  dropped {count:,}: {reason}")
    console.print(f"receipt kept in {keep_receipt(Connection.load(connect).receipts_dir, answer.receipt)}")


@app.command()
def diff(
    list_id: ListId,
    since: Annotated[str, typer.Option(help="Older state; by default the version before the newest.")] = "",
    until: Annotated[str, typer.Option(help="Newer state; by default the newest.")] = "",
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Show what changed between two versions of a list."""
    request = hotlist_pb2.DiffListRequest(list_id=list_id)
    if since:
        getattr(request, "from").FromDatetime(_moment(since))
    if until:
        request.to.FromDatetime(_moment(until))
    answer = call_hotlist(connect, member, lambda stub, o: stub.DiffList(request, **o))
    table = Table("", "plate", "state", "category", "most", "reason", highlight=False)
    for mark, style, entries in (
        ("+", "green", answer.added),
        ("-", "red", answer.removed),
        ("~", "yellow", answer.changed),
    ):
        for entry in entries:
            table.add_row(
                mark, entry.plate, entry.state or "unknown", entry.category, _most(entry.max_action), entry.reason, style=style
            )  # fmt: skip
    Console().print(table)


@app.command()
def push(
    list_id: ListId,
    to: Annotated[str, typer.Option(help="Agency it is offered to. Example: galt-pd.")],
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Offer a list to another agency; nothing reaches it before it accepts."""
    request = hotlist_pb2.PushListRequest(list_id=list_id, to_agency_id=to)
    answer = call_hotlist(connect, member, lambda stub, o: stub.PushList(request, **o))
    print(f"offered; {to} accepts with: plateward lists accept {answer.offer_id}")


@app.command()
def accept(
    offer: Annotated[str, typer.Argument(help="Offer ID, from the agency that offers.")],
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Accept another agency's list. Its hits are leads at most: another agency's word stops nobody here."""
    request = hotlist_pb2.AcceptForeignListRequest(offer_id=offer)
    answer = call_hotlist(connect, member, lambda stub, o: stub.AcceptForeignList(request, **o))
    print(
        f"accepted: {answer.list.list_id} of {answer.list.agency_id}, {_most(answer.list.max_action)} at most"
    )


@app.command()
def clear(
    entry: Annotated[str, typer.Argument(help="Entry that the vehicle was mistaken for, from its hit.")],
    plate: Annotated[str, typer.Option(help="The vehicle's own plate.")],
    reason: Annotated[
        str, typer.Option(help="Why. Example: 'stopped in error 2026-11-20, owner confirmed'.")
    ],
    state: Annotated[str, typer.Option(help="Its issuing state. Example: US-CA.")] = "",
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Sign a vehicle off as "cleared: not this vehicle": nobody is sent after it for this entry again."""
    request = hotlist_pb2.ClearVehicleRequest(entry_id=entry, plate=plate, state=state, reason=reason)
    answer = call_hotlist(connect, member, lambda stub, o: stub.ClearVehicle(request, **o))
    print(f"cleared; receipt kept in {keep_receipt(Connection.load(connect).receipts_dir, answer.receipt)}")


@app.command()
def precision(
    days: Annotated[int, typer.Option(min=1, max=400, help="How far back.")] = 30,
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Show how often the agency's hits were right: by list, characters that differed, kind of match and camera.

    Of the hits that a person settled; the public page shows the same by list and characters, from 10 settled hits on.
    """
    request = hotlist_pb2.GetMatchStatisticsRequest(days=days)
    answer = call_hotlist(connect, member, lambda stub, o: stub.GetMatchStatistics(request, **o))
    Console().print(precision_table(answer.rows, days))


def precision_table(rows: Iterable[hotlist_pb2.MatchStatistic], days: int) -> Table:
    """Return how often hits were right as a table with bars, group by group, the most hits first."""
    table = Table(title=f"hits of the last {days} days", title_justify="left", highlight=False)
    for column in ("by", "", "raised", "confirmed", "rejected as", "right"):
        table.add_column(column, justify="right" if column in ("raised", "confirmed") else "left")
    order = {"list": 0, "characters": 1, "kind": 2, "camera": 3}
    before = ""
    for row in sorted(rows, key=lambda r: (order.get(r.group, 9), -r.raised, r.name)):
        settled = row.confirmed + sum(row.rejected.values())
        if before not in ("", row.group):
            table.add_section()
        told = ", ".join(
            f"{count} {name.removeprefix('REJECTION_').lower().replace('_', ' ')}"
            for name, count in sorted(row.rejected.items(), key=lambda one: -one[1])
        )
        bar = "nobody has settled one yet"
        if settled:
            share = row.confirmed / settled
            bar = f"[green]{'█' * round(_BAR * share)}[/][red]{'█' * (_BAR - round(_BAR * share))}[/] {share:.0%} of {settled}"
        table.add_row(
            row.group if row.group != before else "",
            row.name,
            f"{row.raised:,}",
            f"{row.confirmed:,}",
            told,
            bar,
        )
        before = row.group
    return table


@app.command()
def webhook(
    url: Annotated[str, typer.Argument(help="HTTPS address that the agency's hits are posted to.")],
    secret_file: Annotated[
        Path,
        typer.Option(
            help="File with the signing key; made, with 32 random bytes in hex, where it is absent."
        ),
    ] = Path("webhook.secret"),
    remove: Annotated[bool, typer.Option("--remove", help="End the webhook instead.")] = False,
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Have the agency's hits posted, signed: HMAC-SHA-256 over time, full stop and body, in X-Plateward-Signature."""
    if not secret_file.exists() and not remove:
        descriptor = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
    secret = secret_file.read_text(encoding="utf-8").strip().encode() if secret_file.exists() else b"-" * 32
    request = hotlist_pb2.PutWebhookRequest(url=url, secret=secret, remove=remove)
    answer = call_hotlist(connect, member, lambda stub, o: stub.PutWebhook(request, **o))
    done = (
        "the webhook is removed"
        if remove
        else f"hits are posted to {url}; the receiver needs the key in {secret_file}"
    )
    print(f"{done}; entry #{answer.receipt.index} of the audit log")


def _most(action: hit_pb2.MaxAction.ValueType) -> str:
    return hit_pb2.MaxAction.Name(action).removeprefix("MAX_ACTION_").lower()


def _span(seconds: int) -> str:
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds} s"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time: write it such as 2026-11-23T06:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def call_hotlist(connect: Path, member: str, call: Callable[[Any, dict[str, Any]], Awaitable[_T]]) -> _T:
    """Return the answer of a method of `hotlist` to a member; end the program with the rule when it is refused."""
    connection = Connection.load(connect)

    async def ask() -> _T:
        async with connection.channel("hotlist", "portal") as channel:
            stub = hotlist_pb2_grpc.HotlistServiceStub(channel)
            return await call(stub, {"metadata": bearer(connection.token(member)), "timeout": _TIMEOUT_S})

    try:
        return asyncio.run(ask())
    except grpc.aio.AioRpcError as error:
        end_refused(error)
