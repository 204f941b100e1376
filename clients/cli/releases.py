"""``plateward releases``: requests for release by letter or message, from filing to what was handed over."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clients.cli.calls import HERE, Connect, Identity, ask, id_column, moment, recorded, word
from plateward.access.v1 import access_pb2

app = typer.Typer(
    no_args_is_help=True,
    short_help="Release requests: file, review, fulfil; all kept on file.",
    help="Release requests (462.7). Each names the agency, the person who asks and the intended purpose. The designee reviews it, "
    "never who filed it; then it is fulfilled, with the digest of what was handed over. Requests of bodies that are neither law "
    "enforcement nor prosecution are routed to records release. All are kept on file.",
)
ReleaseId = Annotated[str, typer.Argument(help="ID of the request: plateward releases list.")]
Reason = Annotated[str, typer.Option(help="Why, as it stands on record.")]
Designee = Annotated[str, typer.Option("--member", help="Member who decides: the designee.")]
Clerk = Annotated[str, typer.Option("--member", help="Member who asks: an administrator or designee.")]
DESIGNEE, ADMINISTRATOR = "m-4001", "m-3001"


class State(StrEnum):
    """Where a request stands."""

    FILED = "filed"
    APPROVED = "approved"
    REFUSED = "refused"
    ROUTED = "routed"
    FULFILLED = "fulfilled"


@app.command("list")
def list_releases(
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    member: Clerk = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """List the requests to your agency, newest first."""
    request = access_pb2.ListReleaseRequestsRequest()
    if state is not None:
        request.state = access_pb2.ReleaseState.Value(f"RELEASE_STATE_{state.name}")
    table = Table(id_column("request"), "filed", "agency", "requester", "purpose", "state")
    for r in ask(connect, member, "ListReleaseRequests", request).releases:
        named = word(access_pb2.ReleaseState, r.state, "RELEASE_STATE_")
        colour = {"filed": "yellow", "approved": "green", "fulfilled": "green"}.get(named, "dim")
        by = f" by {r.decided_by}: {r.decision_reason}" if r.decided_by else ""
        table.add_row(
            r.release_id, moment(r.filed_at), r.agency_name, r.requester_name, r.intended_purpose,
            f"[{colour}]{named}[/]{by or (f' to {r.routed_to}' if r.routed_to else '')}",
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command("file")
def file_request(
    agency_name: Annotated[str, typer.Option("--agency", help="Name of the agency or body that asks.")],
    requester: Annotated[str, typer.Option(help="Name of the person who asks.")],
    purpose: Annotated[str, typer.Option(help="What it is for, in a sentence.")],
    agency_id: Annotated[
        str, typer.Option(help="Its ID where it is registered. Without one it can be approved for nothing.")
    ] = "",
    law_enforcement: Annotated[
        bool,
        typer.Option("--law-enforcement/--other", help="Law enforcement or prosecution, or another body."),
    ] = True,
    owner: Annotated[str, typer.Option(help="Agency whose data is asked for; your own if left out.")] = "",
    member: Clerk = ADMINISTRATOR,
    identity: Identity = "portal",
    connect: Connect = HERE,
) -> None:
    """File a request that came in, or, with a partner's certificate, the partner's own."""
    wanted = access_pb2.ReleaseRequest(
        agency_name=agency_name, requester_name=requester, intended_purpose=purpose, agency_id=agency_id,
        law_enforcement=law_enforcement, owner_agency_id=owner,
    )  # fmt: skip
    request = access_pb2.SubmitReleaseRequestRequest(release=wanted)
    _show(connect, ask(connect, member, "SubmitReleaseRequest", request, identity))


@app.command()
def approve(release: ReleaseId, reason: Reason, member: Designee = DESIGNEE, connect: Connect = HERE) -> None:
    """Approve a request, as the designee. Agencies that may be given nothing are refused here by law, whoever approves."""
    _decide(connect, member, release, reason, approved=True)


@app.command()
def refuse(release: ReleaseId, reason: Reason, member: Designee = DESIGNEE, connect: Connect = HERE) -> None:
    """Refuse a request, as the designee."""
    _decide(connect, member, release, reason, approved=False)


@app.command()
def fulfil(
    release: ReleaseId,
    package: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="File that was handed over; only its digest is sent."),
    ],
    member: Clerk = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """Record that an approved request was answered, with the SHA-256 of what was handed over."""
    with package.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").digest()
    request = access_pb2.FulfilReleaseRequestRequest(release_id=release, package_digest=digest)
    _show(connect, ask(connect, member, "FulfilReleaseRequest", request))
    print(f"SHA-256 {digest.hex()}")


def _decide(connect: Connect, member: str, release: str, reason: str, *, approved: bool) -> None:
    request = access_pb2.DecideReleaseRequestRequest(release_id=release, approve=approved, reason=reason)
    _show(connect, ask(connect, member, "DecideReleaseRequest", request))


def _show(
    connect: Connect,
    answer: access_pb2.SubmitReleaseRequestResponse
    | access_pb2.DecideReleaseRequestResponse
    | access_pb2.FulfilReleaseRequestResponse,
) -> None:
    r = answer.release
    state = word(access_pb2.ReleaseState, r.state, "RELEASE_STATE_")
    to = f" to {r.routed_to}" if r.routed_to else ""
    print(f"{r.release_id}: {r.requester_name}, {r.agency_name}: {state}{to}")
    if r.state == access_pb2.RELEASE_STATE_FILED:
        print(f"The designee decides: plateward releases approve {r.release_id} --reason '…'")
    recorded(connect, answer.receipt)
