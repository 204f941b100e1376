"""``plateward holds``: keep reads from destruction for a case, list what is kept, let it go again."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clients.cli.calls import day, end_of, id_column, word
from clients.cli.reads_calls import HERE, SUPERVISOR, Connect, Offence, Reason, ask, purpose, recorded, window
from plateward.reads.v1 import reads_pb2

app = typer.Typer(
    no_args_is_help=True,
    short_help="Keep reads from destruction for a case; list holds, review and release them.",
    help="Legal holds. Retention destroys every read on its day; a hold copies what a case needs out of its reach first. A hold "
    "names who ordered it, the case, for whom it preserves (the defence as well as the police) and when somebody must look at it "
    "again: [bold]review[/] sets the next date, and what nobody looked at in time goes on record. What is held is found by [bold]plateward search … --case[/] under the case of the hold, and is exported with "
    "[bold]plateward evidence export[/]. What is released goes with the next destruction.",
    rich_markup_mode="rich",
)
_PLACE_S = 300.0
"""Ten thousand reads have twenty thousand pictures to be copied."""
Member = Annotated[str, typer.Option("--member", help="Member who acts: a supervisor or the designee.")]


class Party(StrEnum):
    """For whom a hold preserves."""

    prosecution = "prosecution"
    defence = "defence"
    civil = "civil"


@app.command()
def place(
    case: Annotated[str, typer.Option(help="Case number. Example: 26-004312.")],
    authority: Annotated[
        str, typer.Option(help="Who ordered it. Example: 'Sacramento County Superior Court, order 26CR1187'.")
    ],
    review: Annotated[
        str, typer.Option(help="Day on which somebody must look at it again. Example: 2027-05-01.")
    ],
    offence: Offence,
    reason: Reason,
    read: Annotated[list[str] | None, typer.Option(help="Read to hold, by ID; repeat for several.")] = None,
    plate: Annotated[str, typer.Option(help="Or all reads of this plate. Example: 8ABC123.")] = "",
    since: Annotated[str, typer.Option(help="With --plate: how far back. Example: 7d.")] = "30d",
    until: Annotated[str, typer.Option(help="With --plate: up to when; now if left out.")] = "",
    party: Annotated[Party, typer.Option(help="For whom it preserves.")] = Party.prosecution,
    member: Member = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """Hold reads by their IDs, or all reads of a plate in a window. All or nothing."""
    request = reads_pb2.PlaceHoldRequest(
        purpose=purpose(offence, reason, case), read_ids=read or [], plate=plate
    )
    request.hold.authority, request.hold.case_number = authority, case
    request.hold.party = reads_pb2.HoldParty.Value(f"HOLD_PARTY_{party.value.upper()}")
    request.hold.review_at.FromDatetime(end_of(review))
    if plate:
        request.window.CopyFrom(window(since, until))
    answer = ask(
        connect, member, lambda stub, options: stub.PlaceHold(request, **{**options, "timeout": _PLACE_S})
    )
    print(f"Held {answer.hold.reads} read(s) under hold {answer.hold.hold_id}. Take them out with:")
    print(f"  plateward evidence export {answer.hold.hold_id} --case {case} --offence {offence} --reason '…'")
    recorded(connect, answer.receipt)


@app.command("list")
def list_holds(
    released: Annotated[bool, typer.Option("--released", help="Also those that ended.")] = False,
    member: Member = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """List the holds of your agency, those to be looked at first on top; overdue ones are red."""
    request = reads_pb2.ListHoldsRequest(with_released=released)
    answer = ask(connect, member, lambda stub, options: stub.ListHolds(request, **options))
    table = Table(
        id_column("hold"), "case", "reads", "for", "ordered by", "look again", "state", highlight=False
    )
    for hold in answer.holds:
        overdue = not hold.HasField("released_at") and hold.review_at.ToDatetime(UTC) < datetime.now(UTC)
        state = f"released {day(hold.released_at)}" if hold.HasField("released_at") else "in force"
        table.add_row(
            hold.hold_id, hold.case_number, str(hold.reads), word(reads_pb2.HoldParty, hold.party, "HOLD_PARTY_"),
            hold.authority, f"[bold red]{day(hold.review_at)} overdue[/]" if overdue else day(hold.review_at), state,
        )  # fmt: skip
    Console().print(table)


@app.command()
def review(
    hold: Annotated[str, typer.Argument(help="ID of the hold: plateward holds list.")],
    until: Annotated[
        str, typer.Option(help="Day on which somebody must look at it next. Example: 2027-11-01.")
    ],
    reason: Annotated[
        str, typer.Option(help="Why it goes on. Example: 'appeal pending, order 26CR1187 confirmed'.")
    ],
    member: Member = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """Give a hold that goes on a new review date. Who did and why is a line of its chain of custody."""
    request = reads_pb2.ReviewHoldRequest(hold_id=hold, reason=reason)
    request.review_at.FromDatetime(end_of(until))
    answer = ask(connect, member, lambda stub, options: stub.ReviewHold(request, **options))
    print(f"Hold {answer.hold.hold_id} goes on; it must be looked at by {day(answer.hold.review_at)}.")
    recorded(connect, answer.receipt)


@app.command()
def release(
    hold: Annotated[str, typer.Argument(help="ID of the hold: plateward holds list.")],
    reason: Annotated[str, typer.Option(help="Why it ends. Example: 'case adjudicated 2027-03-02'.")],
    member: Member = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """End a hold. What retention says must go then goes with the next destruction, and is certified."""
    request = reads_pb2.ReleaseHoldRequest(hold_id=hold, reason=reason)
    answer = ask(connect, member, lambda stub, options: stub.ReleaseHold(request, **options))
    print(f"Released hold {answer.hold.hold_id} on {answer.hold.reads} read(s).")
    recorded(connect, answer.receipt)
