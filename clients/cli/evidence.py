"""``plateward evidence``: take out what a hold keeps as a package, and verify a package without a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clients.cli.audit_verdict import Verdict
from clients.cli.evidence_verify import verify_package
from clients.cli.reads_calls import (
    HERE,
    SUPERVISOR,
    Connect,
    Offence,
    Reason,
    ask,
    gathered,
    purpose,
    recorded,
)
from plateward.common.v1.receipt_pb2 import Receipt
from plateward.reads.v1 import reads_pb2

app = typer.Typer(
    no_args_is_help=True,
    short_help="Take out what a hold keeps as a signed package; verify one offline.",
    help="Evidence packages: a BagIt bag (RFC 8493) in a tar, with SHA-256 manifests, a signature, the chain of custody, the "
    "audit log's receipts and a cover sheet that opens in any browser. Fit to be booked on portable media. "
    "[bold]verify[/] needs no network and no platform: a package, the agency's public key, and the log's.",
    rich_markup_mode="rich",
)


@app.command()
def export(
    hold: Annotated[str, typer.Argument(help="ID of the hold: plateward holds list.")],
    offence: Offence,
    reason: Reason,
    case: Annotated[str, typer.Option(help="Case number. Example: 26-004312.")] = "",
    out: Annotated[Path | None, typer.Option(help="File to write; evidence-<hold>.tar if left out.")] = None,
    approval: Annotated[
        str, typer.Option(help="ID of a second person's approval, where one is asked for.")
    ] = "",
    member: Annotated[
        str, typer.Option("--member", help="Member who exports: a supervisor or the designee.")
    ] = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """Write the package of a hold. The export is on record, and is a line of the hold's chain of custody."""
    request = reads_pb2.ExportEvidenceRequest(
        purpose=purpose(offence, reason, case), hold_id=hold, approval_id=approval
    )
    target = out or Path(f"evidence-{hold}.tar")
    part = target.with_name(f"{target.name}.part")
    receipt = Receipt()
    with part.open("wb") as file:

        def keep(answer: reads_pb2.ExportEvidenceResponse) -> None:
            file.write(answer.chunk)
            receipt.MergeFrom(answer.receipt)

        try:
            ask(
                connect, member, lambda stub, options: gathered(stub.ExportEvidence(request, **options), keep)
            )
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    part.replace(target)
    print(
        f"Wrote {target} ({target.stat().st_size:,} bytes). Check it with: plateward evidence verify {target} --vkey …"
    )
    recorded(connect, receipt)


@app.command()
def verify(
    package: Annotated[Path, typer.Argument(help="The tar, or the folder it was unpacked to.", exists=True)],
    vkey: Annotated[
        str,
        typer.Option(
            help="The agency's public key for packages, or a file with it: plateward certificates key."
        ),
    ] = "",
    log_vkey: Annotated[str, typer.Option(help="The audit log's public key, or a file with it.")] = "",
) -> None:
    """Verify a package offline: manifests, signature, chain of custody, pictures, receipts. Ends with 1 when anything is wrong."""
    verdict = verify_package(package, text_of(vkey), text_of(log_vkey))
    show(verdict, "Evidence package, verified offline", "the package was altered, or is not whole")
    sys.exit(0 if verdict.ok else 1)


def text_of(given: str) -> str:
    """Return a key that was typed, or the content of the file that was named."""
    return Path(given).read_text(encoding="utf-8") if given and Path(given).is_file() else given


def show(verdict: Verdict, title: str, fault: str) -> None:
    """Print what a verification found."""
    console = Console(highlight=False)
    table = Table("checked", "result", title=title, title_justify="left")
    for check in verdict.checks:
        table.add_row(check.what, f"[green]{check.result}[/]" if check.ok else f"[bold red]{check.result}[/]")
    console.print(table)
    for note in verdict.notes:
        console.print(f"[yellow]note:[/] {note}")
    console.print("[bold green]VERIFIED[/]" if verdict.ok else f"[bold red]NOT VERIFIED[/]: {fault}")
