"""``plateward approvals``: wide searches that wait for their second person, and making the one that was approved."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from google.protobuf import json_format
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.cli.calls import HERE, Connect, ask, id_column, moment, recorded, word
from clients.cli.search import make_search
from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.scopes import request_digest

app = typer.Typer(
    no_args_is_help=True,
    short_help="Wide searches and their second person: list, grant, refuse, make the one that was approved.",
    help="Second-person approvals. A search wider than the policy lets one person make (days, cameras, agencies) is refused by "
    "agency.second-person: ask with [bold]plateward search … --ask-approval[/]. Somebody else, a supervisor or the designee, sees "
    "exactly that search and grants it; then it can be made once, within the hour, by who asked.",
    rich_markup_mode="rich",
)
ApprovalId = Annotated[str, typer.Argument(help="ID of the approval: plateward approvals list.")]
OFFICER, SUPERVISOR = "m-1042", "m-1077"
_SEARCH = reads_pb2.SearchReadsRequest.DESCRIPTOR.full_name
_HIDDEN = frozenset({"purpose", "page", "approvalId"})


@app.command("list")
def list_approvals(
    member: Annotated[str, typer.Option("--member", help="Member who asks.")] = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """List your agency's approvals, newest first: who asks for what, why, and where it stands."""
    table = Table(id_column("approval"), "asked", "who", "what", "why", "state")
    for a in ask(connect, member, "ListApprovals", access_pb2.ListApprovalsRequest()).approvals:
        state = word(access_pb2.ApprovalState, a.state, "APPROVAL_STATE_")
        colour = {"requested": "yellow", "granted": "green", "refused": "red"}.get(state, "dim")
        by = (
            f", granted by {a.granted_by}"
            if a.granted_by and state != "granted"
            else f" by {a.granted_by}"
            if a.granted_by
            else ""
        )
        if a.refused_by:
            by = f" by {a.refused_by}: {escape(a.refusal)}"
        table.add_row(
            a.approval_id, moment(a.requested_at), f"{a.requester_id}\n{a.requester_name}", _what(a), _why(a.purpose),
            f"[{colour}]{state}[/]{by}\n[dim]until {moment(a.expires_at)}[/]",
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command()
def grant(
    approval: ApprovalId,
    member: Annotated[
        str, typer.Option("--member", help="Member who approves: a supervisor or the designee, not who asks.")
    ] = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """Approve somebody else's search, exactly as it is listed. It holds for an hour, and once."""
    answer = ask(connect, member, "GrantApproval", access_pb2.GrantApprovalRequest(approval_id=approval))
    print(
        f"Granted until {moment(answer.expires_at)}. Who asked makes it with: plateward approvals search {approval}"
    )
    recorded(connect, answer.receipt)


@app.command()
def refuse(
    approval: ApprovalId,
    reason: Annotated[str, typer.Option(help="Why; who asked reads it.")],
    member: Annotated[
        str, typer.Option("--member", help="Member who refuses: a supervisor or the designee, not who asks.")
    ] = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """Refuse somebody else's search, or take back what was granted and not made yet."""
    request = access_pb2.RefuseApprovalRequest(approval_id=approval, reason=reason)
    answer = ask(connect, member, "RefuseApproval", request)
    print(f"Refused to {answer.approval.requester_id}, who is told: {reason}")
    recorded(connect, answer.receipt)


@app.command("search")
def make(
    approval: ApprovalId,
    member: Annotated[str, typer.Option("--member", help="Member who asked.")] = OFFICER,
    connect: Connect = HERE,
) -> None:
    """Make the search that was approved, exactly as it was."""
    found = ask(connect, member, "ListApprovals", access_pb2.ListApprovalsRequest()).approvals
    granted = next((a for a in found if a.approval_id == approval), None)
    if granted is None or granted.request_type != _SEARCH:
        raise typer.BadParameter(
            "there is no approval of a search with this ID: plateward approvals list", param_hint="approval"
        )
    request = json_format.Parse(granted.request_json, reads_pb2.SearchReadsRequest())
    request.approval_id = approval
    make_search(connect, "portal", member, request)


def ask_for(
    connect: Connect,
    member: str,
    request: Any,
    action: action_pb2.Action.ValueType = action_pb2.ACTION_SEARCH,
) -> None:
    """Ask for a second person's approval of a search, or of another request that can carry one."""
    asked = access_pb2.RequestApprovalRequest(
        purpose=request.purpose, action=action, request_digest=request_digest(request),
        request_type=request.DESCRIPTOR.full_name, request=request.SerializeToString(),
    )  # fmt: skip
    answer = ask(connect, member, "RequestApproval", asked)
    print(
        f"Asked. A second person sees exactly this and grants it: plateward approvals grant {answer.approval_id}"
    )
    recorded(connect, answer.receipt)


def _what(approval: access_pb2.Approval) -> str:
    query = json_format.Parse(approval.request_json, reads_pb2.SearchReadsRequest(), ignore_unknown_fields=True) \
        if approval.request_type == _SEARCH else None  # fmt: skip
    if query is None:
        return f"{action_pb2.Action.Name(approval.action)}\n{approval.request_json}"
    shown = json_format.MessageToDict(query)
    start, end = (query.window.start, query.window.end)
    days = (end.seconds - start.seconds) / 86_400
    rest = {k: v for k, v in shown.items() if k not in _HIDDEN | {"window"}}
    if rest.pop("lookalikes", False):
        rest["plate"] = f"{rest.get('plate', '')}, and what looks like it"
    told = "\n".join(
        f"{key} {', '.join(value) if isinstance(value, list) else value}" for key, value in rest.items()
    )
    return f"search of {days:.1f} days, {moment(start)} to {moment(end)}\n{told}"


def _why(purpose: types_pb2.Purpose) -> str:
    number = purpose.case_number or purpose.event_number
    return f"{purpose.offence} {number}\n{purpose.reason}"
