"""``plateward members``: who may use the platform, in which role, trained until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clients.cli.calls import HERE, Connect, ask, day, end_of, recorded, word
from plateward.access.v1 import access_pb2

app = typer.Typer(
    no_args_is_help=True,
    short_help="Members: list, add or change, train, suspend, open. Nobody changes their own.",
    help="Members of your agency: list them, add or change one, record training, suspend and reopen accounts. "
    "A member has access while the account is open, the training has not expired, and the role includes what is asked. "
    "An account that nobody used for 90 days is locked. Nobody changes their own. Every change is on record.",
)
MemberId = Annotated[str, typer.Argument(help="ID of the member, as in their tokens. Example: m-1042.")]
By = Annotated[str, typer.Option("--member", help="Member who asks; an administrator changes.")]
ADMINISTRATOR = "m-3001"
_PAGE = 500


class Role(StrEnum):
    """What a member may do."""

    OFFICER = "officer"
    SUPERVISOR = "supervisor"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    DESIGNEE = "designee"


@app.command("list")
def list_members(by: By = ADMINISTRATOR, connect: Connect = HERE) -> None:
    """List the members of your agency: role, account, training, last use."""
    table = Table("member", "name", "job title", "roles", "account", "training until", "last used")
    for member in _all(connect, by):
        state = word(access_pb2.AccountState, member.state, "ACCOUNT_STATE_")
        colour = "green" if member.state == access_pb2.ACCOUNT_STATE_ACTIVE else "red"
        until = day(member.training_expires_at)
        over = member.training_expires_at.ToDatetime(UTC) <= datetime.now(UTC)
        federal = "\n[red]federal task force[/]" if member.federal_task_force else ""
        table.add_row(
            member.member_id, member.name + federal, member.job_title, ", ".join(member.roles), f"[{colour}]{state}[/]",
            f"[red]{until}[/]" if over else until, day(member.last_active_at),
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command()
def put(
    member_id: MemberId,
    name: Annotated[
        str, typer.Option(help="Name as the record must show it. Example: 'Ofc. Dana Reyes'.")
    ] = "",
    title: Annotated[
        str, typer.Option(help="Job title that the policy authorises. Example: patrol-officer.")
    ] = "",
    role: Annotated[
        list[Role] | None, typer.Option(help="Role; repeat for several. Replaces those before.")
    ] = None,
    federal: Annotated[
        bool | None, typer.Option("--federal/--no-federal", help="Assigned to a federal task force.")
    ] = None,
    by: By = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """Add a member, or change one; what is left out stays. A new member has no access before training is recorded."""
    known = {member.member_id: member for member in _all(connect, by)}
    wanted = known.get(member_id, access_pb2.Member(member_id=member_id))
    if member_id not in known and not (name and title):
        raise typer.BadParameter(f"{member_id} is new: give --name and --title", param_hint="member_id")
    wanted.name, wanted.job_title = name or wanted.name, title or wanted.job_title
    if role is not None:
        del wanted.roles[:]
        wanted.roles.extend(role)
    if federal is not None:
        wanted.federal_task_force = federal
    _put(connect, by, wanted)


@app.command()
def train(
    member_id: MemberId,
    until: Annotated[str, typer.Option(help="Last day it counts, or a number of days. Example: 365.")],
    course: Annotated[str, typer.Option(help="Course that the policy asks for.")] = "alpr-basic",
    by: By = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """Record that a member completed the training, and until when it counts. An expired one ends access that second."""
    request = access_pb2.RecordTrainingRequest(member_id=member_id, training=course)
    end = datetime.now(UTC) + timedelta(days=int(until)) if until.isdigit() else end_of(until)
    request.expires_at.FromDatetime(end.astimezone(UTC))
    answer = ask(connect, by, "RecordTraining", request)
    print(f"{member_id} is trained ({course}) until {day(answer.member.training_expires_at)}")
    recorded(connect, answer.receipt)


@app.command()
def suspend(member_id: MemberId, by: By = ADMINISTRATOR, connect: Connect = HERE) -> None:
    """Suspend an account: calls are refused from now on, and what streams to the member ends within a second."""
    _set(connect, by, member_id, access_pb2.ACCOUNT_STATE_SUSPENDED)


@app.command("open")
def reopen(member_id: MemberId, by: By = ADMINISTRATOR, connect: Connect = HERE) -> None:
    """Open an account that is suspended, or locked after 90 unused days."""
    _set(connect, by, member_id, access_pb2.ACCOUNT_STATE_ACTIVE)


def _set(connect: Connect, by: str, member_id: str, state: access_pb2.AccountState.ValueType) -> None:
    member = next((m for m in _all(connect, by) if m.member_id == member_id), None)
    if member is None:
        raise typer.BadParameter(f"there is no {member_id}: plateward members list", param_hint="member_id")
    member.state = state
    _put(connect, by, member)


def _put(connect: Connect, by: str, member: access_pb2.Member) -> None:
    answer = ask(connect, by, "PutMember", access_pb2.PutMemberRequest(member=member))
    after = answer.member
    state = word(access_pb2.AccountState, after.state, "ACCOUNT_STATE_")
    print(
        f"{after.member_id} ({after.name}, {after.job_title}): {', '.join(after.roles) or 'no role'}; account {state}"
    )
    recorded(connect, answer.receipt)


def _all(connect: Connect, by: str) -> list[access_pb2.Member]:
    found: list[access_pb2.Member] = []
    request = access_pb2.ListMembersRequest()
    request.page.size = _PAGE
    while True:
        answer = ask(connect, by, "ListMembers", request)
        found.extend(answer.members)
        if not answer.next_page_token:
            return found
        request.page.token = answer.next_page_token
