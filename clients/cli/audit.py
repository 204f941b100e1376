"""``plateward audit``: export the log, verify it offline, search it.

Verification needs no service and no network: the exported files, the receipts and the log's public key are enough.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.table import Table

from clients.cli.audit_disclosure import app as disclosure
from clients.cli.audit_flags import app as flags
from clients.cli.audit_review import app as review
from clients.cli.audit_vendor import import_vendor
from clients.cli.audit_verdict import Verdict
from clients.cli.audit_verify import Trust, kept_notes, verify_export, verify_receipts
from clients.connection import Connection
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc, event_pb2
from plateward.common.v1 import action_pb2, types_pb2
from servicekit.channels import bearer
from servicekit.errors import parse_rpc_error

app = typer.Typer(
    no_args_is_help=True,
    help="The audit log: export it, verify it offline, search it; review it every 90 days; look at misuse flags; disclose.",
)
app.add_typer(review, name="review")
app.add_typer(flags, name="flags")
app.add_typer(disclosure, name="disclosure")
app.command("import-vendor")(import_vendor)
Connect = Annotated[Path, typer.Option("--connect", help="Folder of the stack (stack.json).")]
DEFAULT = Path(".plateward")


@app.command()
def export(
    target: Annotated[
        Path, typer.Argument(help="Folder for the export; files of an earlier export are replaced.")
    ],
    payloads: Annotated[
        bool,
        typer.Option(
            "--payloads",
            help="Also the sealed rows (ciphertext): verify then checks every stored column too.",
        ),
    ] = False,
    connect: Connect = DEFAULT,
) -> None:
    """Copy the whole public log: entries, tiles, signed checkpoint. It reveals no payload."""
    count = asyncio.run(export_log(Connection.load(connect), target, payloads=payloads))
    print(f"exported {count} files to {target}")


async def export_log(connection: Connection, target: Path, *, payloads: bool) -> int:
    """Write every file of the log below a folder; return how many there are."""
    _clear(target)
    files: set[str] = set()
    request = audit_pb2.ExportLogRequest(with_payloads=payloads)
    async with connection.channel("audit", "portal") as channel:
        async for part in audit_pb2_grpc.AuditServiceStub(channel).ExportLog(request):
            _write(target, part.path, part.data, more=part.path in files)
            files.add(part.path)
    return len(files)


def _clear(target: Path) -> None:
    """Remove the files of an earlier export; a folder that holds no export is left as it is."""
    if (target / "checkpoint").exists():
        for old in sorted(target.rglob("*"), reverse=True):
            old.unlink() if old.is_file() else old.rmdir()


def _write(target: Path, name: str, data: bytes, *, more: bool) -> None:
    path = target / name
    if not path.resolve().is_relative_to(target.resolve()):
        raise SystemExit(f"the service sent a path outside of the export: {name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if more else "wb") as file:
        file.write(data)


@app.command()
def verify(
    export_dir: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Folder of an export. Without it, only the receipts are checked.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    receipts: Annotated[
        list[Path] | None,
        typer.Option("--receipts", help="A receipt (JSON) or a folder of them; may be repeated."),
    ] = None,
    vkey: Annotated[
        list[str] | None,
        typer.Option(
            "--vkey",
            help="The log's public key, or a file with it; may be repeated. Without it the export's own is used, and that is said.",
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            "--witness",
            help="Public key of a witness that must have cosigned, or a file with it; may be repeated.",
        ),
    ] = None,
    quorum: Annotated[
        int,
        typer.Option("--quorum", help="How many of the witnesses must have cosigned; 0 means all.", min=0),
    ] = 0,
    seen: Annotated[
        list[Path] | None,
        typer.Option(
            "--seen",
            help="A checkpoint that somebody else kept, or a witness's state file: the log must be consistent with it.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", help="File that keeps the last checkpoint seen; the log must be consistent with it."
        ),
    ] = None,
) -> None:
    """Verify offline: signature, every entry, every tile, receipts, and consistency with what was seen before.

    Ends with 1 when anything is wrong, and names where.
    """
    trust = Trust(
        vkey or (), witness or (), quorum, state, [note for path in seen or () for note in kept_notes(path)]
    )
    if export_dir is None and not (receipts and vkey):
        raise typer.BadParameter("give --export, or --receipts together with the log's public key (--vkey)")
    verdict = (
        verify_export(export_dir, receipts or [], trust)
        if export_dir
        else verify_receipts(receipts or [], trust)
    )
    _show(verdict)
    sys.exit(0 if verdict.ok else 1)


def _show(verdict: Verdict) -> None:
    console = Console(highlight=False)
    table = Table("checked", "result", title="Audit log, verified offline", title_justify="left")
    for check in verdict.checks:
        table.add_row(check.what, f"[green]{check.result}[/]" if check.ok else f"[bold red]{check.result}[/]")
    console.print(table)
    for note in verdict.notes:
        console.print(f"[yellow]note:[/] {note}")
    console.print(
        "[bold green]VERIFIED[/]"
        if verdict.ok
        else "[bold red]NOT VERIFIED[/]: the log was altered, or is not whole"
    )


@app.command()
def checkpoint(connect: Connect = DEFAULT) -> None:
    """Print the latest signed checkpoint."""

    async def fetch() -> str:
        async with Connection.load(connect).channel("audit", "portal") as channel:
            return (
                await audit_pb2_grpc.AuditServiceStub(channel).GetCheckpoint(audit_pb2.GetCheckpointRequest())
            ).checkpoint

    sys.stdout.write(asyncio.run(fetch()))


@app.command()
def search(
    member: Annotated[str, typer.Option(help="Only looks by this member.")] = "",
    plate: Annotated[str, typer.Option(help="Only looks that used this plate.")] = "",
    case: Annotated[str, typer.Option(help="Only looks for this case.")] = "",
    days: Annotated[int, typer.Option(help="How many days back.", min=1)] = 30,
    auditor: Annotated[
        str, typer.Option("--as", help="Member who asks; needs the auditor's role.")
    ] = "m-2001",
    connect: Connect = DEFAULT,
) -> None:
    """Search the log of one's agency. The search is itself recorded."""
    connection = Connection.load(connect)
    request = audit_pb2.SearchEventsRequest(
        member_id=member, plate=plate, case_number=case, page=types_pb2.PageRequest(size=200)
    )
    now = datetime.now(UTC)
    request.window.start.FromDatetime(now - timedelta(days=days))
    request.window.end.FromDatetime(now + timedelta(minutes=1))

    async def fetch() -> audit_pb2.SearchEventsResponse:
        async with connection.channel("audit", "portal") as channel:
            stub = audit_pb2_grpc.AuditServiceStub(channel)
            return await stub.SearchEvents(request, metadata=bearer(connection.token(auditor)))

    try:
        answer = asyncio.run(fetch())
    except grpc.aio.AioRpcError as error:
        fault = parse_rpc_error(error)
        print(
            f"refused: {fault.metadata.get('rule', '') if fault else error.code().name}: {fault or error.details()}",
            file=sys.stderr,
        )
        sys.exit(1)
    table = Table("#", "when", "who", "organisation", "what", "with", "why", "decided", "result")
    for item in answer.events:
        table.add_row(*_event_row(item))
    Console(highlight=False).print(table)


def _event_row(item: audit_pb2.IndexedEvent) -> tuple[str, ...]:
    e = item.event
    if not item.HasField("event"):
        return (str(item.index), "", "", "", "sealed by order", "", "", "", "")
    phase = event_pb2.Phase.Name(e.phase).removeprefix("PHASE_").lower()
    return (
        str(item.index),
        e.occurred_at.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        e.subject.member_name or e.subject.workload.rpartition("/")[2] or e.service,
        e.subject.agency_id,
        f"{action_pb2.Action.Name(e.action).removeprefix('ACTION_').lower()} ({phase})",
        ", ".join(f"{q.name}={q.value}" for q in e.query if q.name == "plate"),
        f"{e.purpose.offence} {e.purpose.case_number}".strip(),
        e.decision.rule,
        f"{e.outcome.status} {e.outcome.result_count or ''} {e.outcome.reason.removeprefix('ERROR_REASON_')}".strip(),
    )
