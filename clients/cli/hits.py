"""``plateward hits``: look at hits and verify them, one step at a time. A hit is unverified until a person has looked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from clients.cli.lists import call_hotlist
from clients.cli.refusals import end_refused
from clients.cli.search import keep_receipt, vehicle
from clients.connection import Connection
from plateward.common.v1 import types_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2, hotlist_pb2_grpc
from servicekit.channels import bearer

app = typer.Typer(
    no_args_is_help=True,
    help="Hits: list, show, claim, release, compare, ask the originating agency, check records, act, close, watch.",
)
_TIMEOUT_S = 15.0
_LOOK_AGAIN_S = 5.0  # each look is on record
HitId = Annotated[str, typer.Argument(help="Hit ID, from `plateward hits list`.")]
Member = Annotated[str, typer.Option(help="Member who acts (development issuer).")]
Connect = Annotated[Path, typer.Option(help="Connection folder, which holds stack.json.")]
Note = Annotated[str, typer.Option(help="What was seen or done, in a sentence.")]
_HERE = Path(".plateward")
_OFFICER = "m-1042"
_CERTAIN = (hit_pb2.HIT_STATE_CONFIRMED, hit_pb2.HIT_STATE_ACTED, hit_pb2.HIT_STATE_CLOSED)
_UNSETTLED = (
    hit_pb2.CONFIRMATION_STATE_WAITING,
    hit_pb2.CONFIRMATION_STATE_IN_PROCESS,
    hit_pb2.CONFIRMATION_STATE_OVERDUE,
)
_COLOURS = {
    hit_pb2.CHARACTER_MATCH_SAME: "green",
    hit_pb2.CHARACTER_MATCH_LOOKALIKE: "bold yellow",
    hit_pb2.CHARACTER_MATCH_DIFFERENT: "bold red",
    hit_pb2.CHARACTER_MATCH_MISSING: "bold red",
}


class Seen(StrEnum):
    """What a comparison showed."""

    same = "same"
    different = "different"
    not_visible = "not-visible"


class Answer(StrEnum):
    """What the records said."""

    confirmed = "confirmed"
    not_in_force = "not-in-force"
    other_vehicle = "other-vehicle"
    not_practicable = "not-practicable"


class Done(StrEnum):
    """What was done."""

    stop = "stop"
    investigate = "investigate"
    inform = "inform"
    none = "none"


@app.command("list")
def list_hits(
    state: Annotated[
        str, typer.Option(help="Only hits in this state. Example: raised, claimed, confirmed.")
    ] = "",
    rows: Annotated[int, typer.Option(min=1, max=200, help="Most rows to show.")] = 50,
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """List the hits of the agency, newest first."""
    wanted = hit_pb2.HIT_STATE_UNSPECIFIED
    if state:
        name = f"HIT_STATE_{state.upper()}"
        if name not in hit_pb2.HitState.keys():  # noqa: SIM118 - an enum wrapper, no dict
            known = ", ".join(n.removeprefix("HIT_STATE_").lower() for n in hit_pb2.HitState.keys()[1:])
            raise typer.BadParameter(f"{state!r} is no state: one of {known}")
        wanted = hit_pb2.HitState.Value(name)
    request = hotlist_pb2.ListHitsRequest(state=wanted, page=types_pb2.PageRequest(size=rows))
    answer = call_hotlist(connect, member, lambda stub, options: stub.ListHits(request, **options))
    shown = Table(title=f"{len(answer.hits)} hit(s)", title_justify="left", highlight=False)
    for column in ("raised", "", "read", "entry", "match", "most", "verifier", "hit ID"):
        shown.add_column(column, overflow="fold")
    for hit in answer.hits:
        shown.add_row(
            hit.raised_at.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S"), _standing(hit),
            hit.read.plate.text, hit.entry.plate, hit.match_kind, _word(hit_pb2.MaxAction.Name(hit.max_action)),
            hit.verifier_id or "nobody", hit.hit_id,
        )  # fmt: skip
    Console().print(shown)
    keep_receipt(Connection.load(connect).receipts_dir, answer.receipt)


@app.command()
def show(hit_id: HitId, member: Member = _OFFICER, connect: Connect = _HERE) -> None:
    """Show a hit with the character-by-character comparison and the steps so far."""
    Console().print(panel(_find(hit_id, member, connect)))


@app.command("sheet")
def write_sheet(
    hit_id: HitId,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("hit.html"),
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Write the comparison sheet: the pictures beside the entry, characters, state, type, colour, age of the list.

    The pictures are kept with the hit; the look at them is on record.
    """
    from clients.cli.hit_sheet import sheet

    hit = _find(hit_id, member, connect)
    plate, whole = (
        _picture(hit_id, kind, member, connect)
        for kind in (types_pb2.CROP_KIND_PLATE, types_pb2.CROP_KIND_VEHICLE)
    )
    out.write_text(sheet(hit, plate, whole), encoding="utf-8")
    print(f"written: {out}{'' if plate else ' (without a picture: it is not there any more)'}")


def _picture(hit_id: str, kind: types_pb2.CropKind.ValueType, member: str, connect: Path) -> bytes:
    """Return a picture of a hit; none where there is none, which the sheet says."""
    connection = Connection.load(connect)
    request = hotlist_pb2.GetHitPictureRequest(hit_id=hit_id, kind=kind)

    async def get() -> bytes:
        async with connection.channel("hotlist", "portal") as channel:
            answer = await hotlist_pb2_grpc.HotlistServiceStub(channel).GetHitPicture(
                request, metadata=bearer(connection.token(member)), timeout=_TIMEOUT_S
            )
            keep_receipt(connection.receipts_dir, answer.receipt)
            return bytes(answer.jpeg)

    try:
        return asyncio.run(get())
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            end_refused(error)
        return b""


def _find(hit_id: str, member: str, connect: Path) -> hit_pb2.Hit:
    page = types_pb2.PageRequest(size=200)
    while True:
        request = hotlist_pb2.ListHitsRequest(page=page)
        answer = call_hotlist(connect, member, lambda stub, options, r=request: stub.ListHits(r, **options))  # type: ignore[misc]
        for hit in answer.hits:
            if hit.hit_id == hit_id:
                keep_receipt(Connection.load(connect).receipts_dir, answer.receipt)
                found: hit_pb2.Hit = hit
                return found
        if not answer.next_page_token:
            Console(stderr=True).print("There is no such hit that you may see: see `plateward hits list`.")
            raise typer.Exit(3)
        page.token = answer.next_page_token


@app.command()
def claim(hit_id: HitId, member: Member = _OFFICER, connect: Connect = _HERE) -> None:
    """Take a hit: from now on you, and only you, verify it."""
    request = hotlist_pb2.ClaimHitRequest(hit_id=hit_id)
    _step(connect, member, lambda stub, options: stub.ClaimHit(request, **options))


@app.command()
def release(
    hit_id: HitId,
    reason: Annotated[str, typer.Option(help="Why. Example: 'end of shift'.")],
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Hand a hit back, so that somebody else can take it; one that another holds, once nothing was done on it for an hour."""
    request = hotlist_pb2.ReleaseHitRequest(hit_id=hit_id, reason=reason)
    _step(connect, member, lambda stub, options: stub.ReleaseHit(request, **options))


@app.command()
def compare(
    hit_id: HitId,
    plate: Annotated[Seen, typer.Option(help="The picture's characters against the entry's.")],
    state: Annotated[Seen, typer.Option(help="The picture's issuing state against the entry's.")],
    vehicle_: Annotated[Seen, typer.Option("--vehicle", help="The vehicle against the entry's.")],
    note: Note = "",
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Record what comparing picture and entry showed; anything different rejects the hit."""
    request = hotlist_pb2.CompareHitRequest(
        hit_id=hit_id, plate=_seen(plate), state=_seen(state), vehicle=_seen(vehicle_), note=note
    )
    _step(connect, member, lambda stub, options: stub.CompareHit(request, **options))


@app.command()
def ask(
    hit_id: HitId,
    routine: Annotated[
        bool, typer.Option("--routine", help="Within an hour; without it within 10 minutes.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the answer and show it (Ctrl-C only ends the waiting).")
    ] = False,
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Ask the originating agency, through the message switch, whether its entry is in force and of this vehicle."""
    urgency = hit_pb2.URGENCY_ROUTINE if routine else hit_pb2.URGENCY_URGENT
    request = hotlist_pb2.RequestConfirmationRequest(hit_id=hit_id, urgency=urgency)
    answer = call_hotlist(connect, member, lambda stub, options: stub.RequestConfirmation(request, **options))
    keep_receipt(Connection.load(connect).receipts_dir, answer.receipt)
    hit, console = answer.hit, Console()
    if wait:
        with console.status("") as status:
            while hit.confirmation.state in _UNSETTLED:
                status.update(confirmation(hit.confirmation, datetime.now(UTC)).plain)
                time.sleep(_LOOK_AGAIN_S)
                hit = _find(hit_id, member, connect)
    console.print(panel(hit))


@app.command()
def records(
    hit_id: HitId,
    result: Annotated[Answer, typer.Option(help="What the records check said.")],
    reference: Annotated[
        str,
        typer.Option(
            help="Who confirmed: number of the reply, or a name. Needed for confirmed without a message switch."
        ),
    ] = "",
    reason: Annotated[str, typer.Option(help="Why the check was not practicable.")] = "",
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Record the records check; only then may anything be done."""
    value = hit_pb2.RecordsResult.Value(f"RECORDS_RESULT_{_constant(result)}")
    request = hotlist_pb2.CheckRecordsRequest(hit_id=hit_id, result=value, reference=reference, reason=reason)
    _step(connect, member, lambda stub, options: stub.CheckRecords(request, **options))


@app.command()
def act(
    hit_id: HitId,
    action: Annotated[Done, typer.Option(help="What was done.")],
    note: Note = "",
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Record what was done on a confirmed hit; refused on any other."""
    value = hit_pb2.HitAction.Value(f"HIT_ACTION_{_constant(action)}")
    request = hotlist_pb2.RecordActionRequest(hit_id=hit_id, action=value, note=note)
    _step(connect, member, lambda stub, options: stub.RecordAction(request, **options))


@app.command()
def close(
    hit_id: HitId,
    outcome: Annotated[str, typer.Option(help="Code of the outcome. Example: recovered.")],
    note: Note = "",
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Record how it ended."""
    request = hotlist_pb2.RecordOutcomeRequest(hit_id=hit_id, outcome=outcome, note=note)
    _step(connect, member, lambda stub, options: stub.RecordOutcome(request, **options))


@app.command()
def watch(
    cursor: Annotated[
        str, typer.Option(help="Go on after this cursor; without one, only what is raised from now on.")
    ] = "",
    identity: Annotated[str, typer.Option(help="Client certificate of the connection folder.")] = "portal",
    owner: Annotated[str, typer.Option(help="Agency whose hits are wanted; your own if left out.")] = "",
    member: Member = _OFFICER,
    connect: Connect = _HERE,
) -> None:
    """Show hits as they are raised, until Ctrl-C."""
    connection = Connection.load(connect)
    request = hotlist_pb2.StreamHitsRequest(cursor=cursor, owner_agency_ids=[owner] if owner else [])
    console = Console()

    async def follow() -> None:
        async with connection.channel("hotlist", identity) as channel:
            stub = hotlist_pb2_grpc.HotlistServiceStub(channel)
            async for raised in stub.StreamHits(request, metadata=bearer(connection.token(member))):
                if raised.HasField("hit"):
                    console.print(panel(raised.hit))
                console.print(f"cursor {raised.cursor}", style="dim")

    console.print("Waiting for hits; stop with Ctrl-C.", style="dim")
    try:
        asyncio.run(follow())
    except grpc.aio.AioRpcError as error:
        end_refused(error)


def panel(hit: hit_pb2.Hit) -> Panel:
    """Return a hit as a person must see it: unverified first, then what differs, then what was done."""
    body = Text.assemble(_standing(hit), "  ", f"match: {hit.match_kind}, at most: ", (
        _word(hit_pb2.MaxAction.Name(hit.max_action)), "bold"), "\n")  # fmt: skip
    for demotion in hit.demotions:
        body.append(f"  {demotion}\n", "yellow")
    for label, side in (("read  ", "read"), ("entry ", "entry")):
        body.append(label, "dim")
        for character in hit.explanation:
            body.append(f" {getattr(character, side) or '-'}", _COLOURS.get(character.match, ""))
        body.append("\n")
    for character in hit.explanation:
        if character.match != hit_pb2.CHARACTER_MATCH_SAME:
            word = _word(hit_pb2.CharacterMatch.Name(character.match).replace("_MATCH", ""))
            body.append(
                f"  read {character.read or 'nothing'}, entry {character.entry or 'nothing'}: {word}, "
                f"confidence {character.confidence:.0%}\n",
                "yellow",
            )
    read, entry = hit.read, hit.entry
    body.append(
        f"seen {read.seen_at.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M:%S} at {read.camera_id}: "
        f"{read.plate.state or 'state unknown'}, {vehicle(read)}\n"
        f"wanted for {entry.category}: {entry.reason} {entry.case_number}\n"
    )
    for step in hit.verifications:
        body.append(
            f"  {step.at.ToDatetime(UTC).astimezone():%H:%M:%S} {step.member_name or step.member_id}: {step.note}\n",
            "dim",
        )
    if hit.HasField("confirmation"):
        body.append(confirmation(hit.confirmation, datetime.now(UTC)))
        body.append("\n")
    if hit.rejection:
        body.append(f"rejected: {_word(hit_pb2.Rejection.Name(hit.rejection))}\n", "bold red")
    body.rstrip()
    return Panel(body, title=f"hit {hit.hit_id}", title_align="left", expand=False)


def confirmation(asked: hit_pb2.Confirmation, now: datetime) -> Text:
    """Return where a request to the originating agency stands, in a line."""
    due = asked.due_at.ToDatetime(UTC)
    left = max(0, round((due - now).total_seconds()))
    urgency = _word(hit_pb2.Urgency.Name(asked.urgency).removeprefix("URGENCY_"))
    if asked.state == hit_pb2.CONFIRMATION_STATE_ANSWERED:
        result = _word(hit_pb2.RecordsResult.Name(asked.result).removeprefix("RECORDS_RESULT_"))
        told = ", ".join(part for part in (asked.answered_by, asked.reference, asked.note) if part)
        good = asked.result == hit_pb2.RECORDS_RESULT_CONFIRMED
        return Text(f"originating agency: {result} ({told})", "bold green" if good else "bold red")
    if asked.state == hit_pb2.CONFIRMATION_STATE_UNANSWERED:
        return Text(
            f"originating agency: {asked.attempt} requests in vain; ask again, or record why a check is not practicable",
            "bold red",
        )
    words = {
        hit_pb2.CONFIRMATION_STATE_IN_PROCESS: "needs longer",
        hit_pb2.CONFIRMATION_STATE_OVERDUE: f"overdue, request {asked.attempt}",
    }.get(asked.state, "asked")
    return Text(
        f"originating agency: {words} ({urgency}), answer due {due.astimezone():%H:%M:%S}, in {left // 60}:{left % 60:02}",
        "yellow",
    )


def _standing(hit: hit_pb2.Hit) -> Text:
    word = _word(hit_pb2.HitState.Name(hit.state).replace("HIT_STATE", "STATE"))
    if hit.state in _CERTAIN:
        return Text(word.upper(), "bold green")
    if hit.state == hit_pb2.HIT_STATE_REJECTED:
        return Text("REJECTED", "dim")
    return Text(f"UNVERIFIED ({word})", "bold red")


def _word(name: str) -> str:
    """Return an enum value's name as words. Example: ``MAX_ACTION_STOP`` is ``stop``."""
    for prefix in ("MAX_ACTION_", "STATE_", "REJECTION_", "CHARACTER_"):
        name = name.removeprefix(prefix)
    return name.lower().replace("_", " ")


def _constant(value: Enum) -> str:
    return str(value.value).upper().replace("-", "_")


def _seen(value: Seen) -> hit_pb2.Comparison.ValueType:
    return hit_pb2.Comparison.Value(f"COMPARISON_{_constant(value)}")


def _step(connect: Path, member: str, call: Callable[[Any, dict[str, Any]], Awaitable[Any]]) -> None:
    answer = call_hotlist(connect, member, call)
    console = Console()
    console.print(panel(answer.hit))
    kept = keep_receipt(Connection.load(connect).receipts_dir, answer.receipt)
    console.print(
        f"Recorded as entry [bold]#{answer.receipt.index}[/] of the audit log; receipt kept in {kept}"
    )
