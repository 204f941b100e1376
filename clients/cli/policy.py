"""``plateward policy``: check a policy document, run the published tables, publish with two persons, show what is in force.

``lint`` and ``test`` need no running platform: they run the access service's pure policy modules in process.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.cli.refusals import end_refused
from clients.connection import Connection
from plateward.access.v1 import access_pb2, access_pb2_grpc
from servicekit.channels import bearer

app = typer.Typer(
    no_args_is_help=True, help="The agency's policy: lint, test, publish, show; the public page."
)
Connect = Annotated[Path, typer.Option("--connect", help="Connection folder, which holds stack.json.")]
File = Annotated[Path, typer.Argument(help="Policy document (YAML).", exists=True, dir_okay=False)]
Member = Annotated[str, typer.Option("--as", help="Member who acts (development issuer).")]
DEFAULT = Path(".plateward")


@app.command()
def lint(file: File) -> None:
    """Find contradictions and empty elements; each finding names its clauses. Ends with 1 when the document cannot be published."""
    from services.access.lint import lint as look

    findings = look(file.read_text(encoding="utf-8"))
    console = Console(highlight=False)
    for finding in findings:
        word = "[bold red]refused[/]" if finding.refused else "[yellow]advice[/] "
        console.print(
            f"{word}  {finding.rule}  [bold]{escape(' ↔ '.join(finding.clauses))}[/]", soft_wrap=True
        )
        console.print(f"         {escape(finding.message)}", soft_wrap=True)
    refused = sum(f.refused for f in findings)
    console.print(
        f"{refused} finding(s) keep {escape(file.name)} from being published, {len(findings) - refused} are advice."
    )
    sys.exit(1 if refused else 0)


@app.command("test")
def run_tables(
    file: Annotated[
        Path | None,
        typer.Argument(help="Policy document; the shipped samples if left out.", exists=True, dir_okay=False),
    ] = None,
    with_matrix: Annotated[
        bool, typer.Option("--matrix", help="Also every cell of the matrix (half a minute).")
    ] = False,
) -> None:
    """Run the published allow and deny tables on a document, in process. Ends with 1 when one is not as published."""
    from services.access import conformance
    from services.access.engines import RegopyEngine
    from services.access.policy import PolicyError, load_bundle

    try:
        bundles = [load_bundle(file.read_text(encoding="utf-8"))] if file else conformance.samples_of_packs()
    except PolicyError as error:
        print(f"plateward: {error}", file=sys.stderr)
        sys.exit(2)

    async def run(bundle: Any) -> tuple[int, list[str]]:
        engine = RegopyEngine()
        try:
            await engine.load(bundle)
            count, faults = await conformance.faults(engine, conformance.published(bundle))
            if with_matrix:
                more, wrong = await conformance.faults(engine, conformance.matrix(bundle))
                count, faults = count + more, faults + wrong
            return count, faults
        finally:
            await engine.close()

    failed = 0
    for bundle in bundles:
        try:
            count, faults = asyncio.run(run(bundle))
        except conformance.TableError as error:
            count, faults = 0, [str(error)]
        failed += len(faults)
        print(
            f"{bundle.document['agency']}, version {bundle.version}: {count} cases, {len(faults)} not as published"
        )
        for fault in faults[:50]:
            print(f"  {fault}")
    sys.exit(1 if failed else 0)


@app.command()
def publish(
    file: File,
    member: Annotated[str, typer.Option("--as", help="Member who proposes (development issuer).")] = "m-3001",
    second: Annotated[
        str, typer.Option(help="Second person, who puts it in force at once; left out, the proposal waits.")
    ] = "",
    connect: Connect = DEFAULT,
) -> None:
    """Propose a document: it is linted, run against its tables, signed and versioned. A second person puts it in force."""
    request = access_pb2.ProposePolicyRequest(document=file.read_text(encoding="utf-8"))
    proposed = _call(connect, "ProposePolicy", request, member)
    version = proposed.policy.version
    print(f"version {version} proposed by {member}, entry #{proposed.receipt.index} of the audit log")
    if second:
        _activate(connect, version, second)
    else:
        print(f"a second person puts it in force: plateward policy activate {version} --as m-4001")


@app.command()
def activate(
    version: Annotated[str, typer.Argument(help="Version that was proposed.")],
    member: Annotated[
        str, typer.Option("--as", help="Member who activates: not who proposed it.")
    ] = "m-4001",
    connect: Connect = DEFAULT,
) -> None:
    """Put a proposed version in force, as its second person."""
    _activate(connect, version, member)


@app.command()
def versions(
    member: Annotated[str, typer.Option("--as", help="Member who asks (development issuer).")] = "m-3001",
    connect: Connect = DEFAULT,
) -> None:
    """List the versions: who proposed each, who put it in force, and when."""
    answer = _call(connect, "ListPolicyVersions", access_pb2.ListPolicyVersionsRequest(), member)
    table = Table()
    table.add_column("version", min_width=16, no_wrap=True)
    for column in ("state", "proposed by", "at", "put in force by", "at"):
        table.add_column(column, overflow="fold")
    for policy in answer.policies:
        state = (
            access_pb2.PolicyState.Name(policy.state).removeprefix("POLICY_STATE_").lower().replace("_", " ")
        )
        since = (
            f"{policy.activated_at.ToDatetime(UTC):%Y-%m-%d %H:%M}" if policy.HasField("activated_at") else ""
        )
        table.add_row(
            policy.version, state, policy.proposed_by, f"{policy.proposed_at.ToDatetime(UTC):%Y-%m-%d %H:%M}",
            policy.activated_by, since,
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command("case")
def register_case(
    number: Annotated[str, typer.Argument(help="Case or event number. Example: 26-004312.")],
    offence: Annotated[str, typer.Option(help="Offence of the published policy. Example: vehicle-theft.")],
    unit: Annotated[str, typer.Option(help="Unit that works on it. Example: auto-theft.")] = "",
    opened: Annotated[str, typer.Option(help="When it was opened, ISO 8601; now if left out.")] = "",
    closed: Annotated[
        bool, typer.Option("--closed", help="Close it now: it opens nothing any more.")
    ] = False,
    member: Annotated[
        str, typer.Option("--as", help="Member who registers it (development issuer).")
    ] = "m-3001",
    connect: Connect = DEFAULT,
) -> None:
    """Register a case in the embedded table, so that purposes can name it; an agency's CAD or RMS does this by itself."""
    now = datetime.now(UTC)
    try:
        began = datetime.fromisoformat(opened).astimezone(UTC) if opened else now
    except ValueError:
        raise typer.BadParameter(f"{opened!r} is no time: write 2026-11-20T08:00Z") from None
    request = access_pb2.PutCaseRequest(case_number=number, offence=offence, unit=unit)
    request.opened_at.FromDatetime(began)
    if closed:
        request.closed_at.FromDatetime(now)
    done = _call(connect, "PutCase", request, member)
    print(f"case {number} {'closed' if closed else 'open'}, entry #{done.receipt.index} of the audit log")


def _activate(connect: Path, version: str, member: str) -> None:
    done = _call(connect, "ActivatePolicy", access_pb2.ActivatePolicyRequest(version=version), member)
    print(f"version {version} in force by {member}, entry #{done.receipt.index} of the audit log")


@app.command()
def show(
    document: Annotated[
        bool, typer.Option("--document", help="Print the document instead of the overview.")
    ] = False,
    connect: Connect = DEFAULT,
) -> None:
    """Show the policy in force: version, purposes, what is refused, how long data is kept."""
    policy = _call(connect, "GetPolicy", access_pb2.GetPolicyRequest()).policy
    if document:
        print(policy.document)
        return
    console = Console(highlight=False)
    console.print(
        f"[bold]{policy.agency_id}[/], version {policy.version}, packs {', '.join(policy.packs)}, in force since {policy.effective_at.ToDatetime(UTC):%Y-%m-%d}"
    )
    purposes = Table("purpose", "in words", "needs a case", title="Purposes", title_justify="left")
    for offence in policy.offences:
        purposes.add_row(offence.code, offence.title, "yes" if offence.needs_case else "no")
    refused = Table("clause", "in words", title="Refused, whoever asks", title_justify="left")
    for clause in policy.prohibited:
        refused.add_row(clause.id, clause.text)
    kept = Table("kind", "kept", "basis", title="Retention", title_justify="left")
    for rule in policy.retention:
        kept.add_row(rule.kind, f"{rule.keep_s / 86_400:g} days", rule.basis)
    for table in (purposes, refused, kept):
        console.print(table)


@app.command()
def page(
    out: Annotated[Path, typer.Option(help="File to write.", dir_okay=False)] = Path("transparency.html"),
    connect: Connect = DEFAULT,
) -> None:
    """Write the public page: the policy in words, live counts, the log's latest checkpoint; one HTML file without a script."""
    answer = _call(connect, "GetTransparencyPage", access_pb2.GetTransparencyPageRequest())
    out.write_text(answer.html, encoding="utf-8")
    print(
        f"{out}: made from policy version {answer.policy_version}; open it in a browser or put it on a web server"
    )


def _call(connect: Path, method: str, request: Any, member: str = "") -> Any:
    connection = Connection.load(connect)

    async def ask() -> Any:
        async with connection.channel("access", "portal") as channel:
            metadata = bearer(connection.token(member)) if member else ()
            return await getattr(access_pb2_grpc.AccessServiceStub(channel), method)(
                request, metadata=metadata, timeout=30
            )

    try:
        return asyncio.run(ask())
    except grpc.aio.AioRpcError as error:
        end_refused(error)
