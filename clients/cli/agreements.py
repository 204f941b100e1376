"""``plateward agreements``: whose reads a partner may see, within which bounds, until when."""

from __future__ import annotations

from datetime import UTC
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clients.cli.calls import HERE, Connect, Identity, ask, day, end_of, id_column, recorded, word
from plateward.access.v1 import access_pb2

app = typer.Typer(
    no_args_is_help=True,
    short_help="Sharing agreements: asked by a partner, decided by the owner's designee, ended at once.",
    help="Sharing agreements. A partner sees nothing of an owner without one. The partner asks, with its own certificate, and "
    "attests that nothing is passed on for a prohibited use; the owner's designee approves or refuses; it ends on its day, or at "
    "once when it is revoked. Agencies of other states, federal and immigration agencies can never have one (Civil Code "
    "1798.90.55(b)). Nothing is deleted, and every step is on record.",
)
AgreementId = Annotated[str, typer.Argument(help="ID of the agreement: plateward agreements list.")]
Designee = Annotated[str, typer.Option("--member", help="Member who decides: the owner's designee.")]
Reason = Annotated[str, typer.Option(help="Why, as it stands on record.")]
DESIGNEE, ADMINISTRATOR = "m-4001", "m-3001"
_DAY_S = 86_400


class State(StrEnum):
    """Where an agreement stands."""

    REQUESTED = "requested"
    ACTIVE = "active"
    REFUSED = "refused"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Kind(StrEnum):
    """What an agency is to an owner."""

    LOCAL = "local"
    STATE = "state"
    PROSECUTOR = "prosecutor"
    OUT_OF_STATE = "out-of-state"
    FEDERAL = "federal"
    TRIBAL = "tribal"
    PRIVATE = "private"


@app.command("list")
def list_agreements(
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    member: Designee = DESIGNEE,
    connect: Connect = HERE,
) -> None:
    """List your agency's agreements, as owner and as partner, newest first."""
    request = access_pb2.ListAgreementsRequest()
    if state is not None:
        request.state = access_pb2.AgreementState.Value(f"AGREEMENT_STATE_{state.name}")
    table = Table(id_column("agreement"), "owner", "partner", "state", "bounds", "until", "why")
    for a in ask(connect, member, "ListAgreements", request).agreements:
        named = word(access_pb2.AgreementState, a.state, "AGREEMENT_STATE_")
        colour = {"active": "green", "requested": "yellow"}.get(named, "dim")
        table.add_row(
            a.agreement_id, a.owner_agency_id, a.partner_agency_id, f"[{colour}]{named}[/]", _bounds(a),
            day(a.expires_at), a.justification + (f"\n[dim]{named}: {a.reason}[/]" if a.reason else ""),
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command()
def request(
    owner: Annotated[str, typer.Argument(help="Agency whose reads you ask for. Example: elk-grove-pd.")],
    why: Annotated[str, typer.Option(help="Right and need to know, in a sentence.")],
    until: Annotated[str, typer.Option(help="Last day. Example: 2027-10-31.")],
    days_back: Annotated[int, typer.Option(min=1, max=731, help="How far back you need to see, in days.")],
    attest_onward_use: Annotated[
        bool,
        typer.Option(
            help="Attest that nothing is passed on for a prohibited use, nor to who could have no agreement."
        ),
    ] = False,
    camera: Annotated[list[str] | None, typer.Option(help="Only these cameras; repeat for several.")] = None,
    offence: Annotated[
        list[str] | None, typer.Option(help="Only for these offences; repeat for several.")
    ] = None,
    member: Annotated[str, typer.Option("--member", help="Member who asks for the partner.")] = "galt-1",
    identity: Identity = "galt-pd",
    connect: Connect = HERE,
) -> None:
    """Ask an owner to share with your agency. It opens nothing until the owner's designee approves."""
    wanted = access_pb2.Agreement(
        owner_agency_id=owner, camera_ids=camera or [], offences=offence or [], window_s=days_back * _DAY_S,
        justification=why, onward_use_attested=attest_onward_use,
    )  # fmt: skip
    wanted.expires_at.FromDatetime(end_of(until).astimezone(UTC))
    answer = ask(
        connect, member, "RequestAgreement", access_pb2.RequestAgreementRequest(agreement=wanted), identity
    )
    _show(connect, answer)


@app.command()
def approve(
    agreement: AgreementId, reason: Reason, member: Designee = DESIGNEE, connect: Connect = HERE
) -> None:
    """Approve a request, as the owner's designee. What the partner is, is judged again at this moment."""
    _decide(connect, member, agreement, reason, approved=True)


@app.command()
def refuse(
    agreement: AgreementId, reason: Reason, member: Designee = DESIGNEE, connect: Connect = HERE
) -> None:
    """Refuse a request, as the owner's designee."""
    _decide(connect, member, agreement, reason, approved=False)


@app.command()
def revoke(
    agreement: AgreementId, reason: Reason, member: Designee = DESIGNEE, connect: Connect = HERE
) -> None:
    """End an agreement now: the partner's next search is refused, and what streams to it ends within a second."""
    ended = access_pb2.RevokeAgreementRequest(agreement_id=agreement, reason=reason)
    _show(connect, ask(connect, member, "RevokeAgreement", ended))


@app.command()
def register(
    agency: Annotated[
        str, typer.Argument(help="ID of the agency, as in its certificates. Example: galt-pd.")
    ],
    name: Annotated[str, typer.Option(help="Its name. Example: 'Galt Police Department'.")],
    kind: Annotated[
        Kind, typer.Option(help="What it is to you. An agency of another state is out-of-state.")
    ],
    state: Annotated[str, typer.Option(help="Its state. Example: US-CA.")],
    member: Annotated[
        str, typer.Option("--member", help="Member who asks: an administrator.")
    ] = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """Register an agency, or change what it is. Who is not registered is given nothing."""
    wanted = access_pb2.Agency(
        agency_id=agency, name=name, state=state,
        kind=access_pb2.AgencyKind.Value(f"AGENCY_KIND_{kind.name}"),
    )  # fmt: skip
    answer = ask(connect, member, "PutAgency", access_pb2.PutAgencyRequest(agency=wanted))
    print(f"{agency} ({name}) is registered as {kind.value} of {state}")
    recorded(connect, answer.receipt)


def _decide(connect: Connect, member: str, agreement: str, reason: str, *, approved: bool) -> None:
    decided = access_pb2.DecideAgreementRequest(agreement_id=agreement, approve=approved, reason=reason)
    _show(connect, ask(connect, member, "DecideAgreement", decided))


def _show(
    connect: Connect,
    answer: access_pb2.RequestAgreementResponse
    | access_pb2.DecideAgreementResponse
    | access_pb2.RevokeAgreementResponse,
) -> None:
    a = answer.agreement
    state = word(access_pb2.AgreementState, a.state, "AGREEMENT_STATE_")
    print(
        f"{a.agreement_id}: {a.partner_agency_id} to {a.owner_agency_id}, {_bounds(a)}, until {day(a.expires_at)}: {state}"
    )
    if a.state == access_pb2.AGREEMENT_STATE_REQUESTED:
        print(f"The owner's designee decides: plateward agreements approve {a.agreement_id} --reason '…'")
    recorded(connect, answer.receipt)


def _bounds(a: access_pb2.Agreement) -> str:
    cameras = ", ".join(a.camera_ids) or "all cameras"
    offences = ", ".join(a.offences) or "all offences"
    return f"{a.window_s / _DAY_S:g} days back, {cameras}, {offences}"
