"""``plateward audit flags``: patterns of misuse that wait for a person."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from clients.cli.audit_calls import AUDITOR, DEFAULT, Auditor, Connect, ask
from clients.cli.audit_review import Finding
from plateward.audit.v1 import audit_pb2

app = typer.Typer(
    no_args_is_help=True,
    help="Patterns of misuse that the detectors saw in the log: list, dispose, protect plates.",
)


@app.command("list")
def list_flags(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are disposed of.")] = False,
    auditor: Auditor = AUDITOR,
    connect: Connect = DEFAULT,
) -> None:
    """Show the flags of one's agency, newest first, each with its explanation."""
    request = audit_pb2.ListFlagsRequest(with_disposed=everything)
    answer = ask(connect, auditor, lambda s, m: s.ListFlags(request, metadata=m))
    table = Table(Column("flag", no_wrap=True, min_width=36), "what", "why", "disposition")
    for f in answer.flags:
        done = (
            audit_pb2.FindingKind.Name(f.disposition).removeprefix("FINDING_KIND_").lower()
            if f.disposition
            else "open"
        )
        shown = ", ".join(map(str, f.indexes[:6])) + (" …" if len(f.indexes) > 6 else "")
        table.add_row(
            f.flag_id,
            f"{f.detector}, {f.member_id}, {f.raised_at.ToDatetime():%Y-%m-%d %H:%M}",
            f"{f.explanation} (entries {shown})",
            done,
        )
    Console(highlight=False).print(table if answer.flags else "no flags: nothing waits for review")


@app.command()
def dispose(
    flag: Annotated[str, typer.Argument(help="ID of the flag.")],
    finding: Annotated[Finding, typer.Option(help="What it turned out to be.")],
    note: Annotated[str, typer.Option(help="In a sentence: what was checked.")],
    auditor: Auditor = AUDITOR,
    connect: Connect = DEFAULT,
) -> None:
    """Record what a flag turned out to be. Nobody disposes of a flag on himself."""
    request = audit_pb2.DisposeFlagRequest(
        flag_id=flag, disposition=audit_pb2.FindingKind.Value(f"FINDING_KIND_{finding.name}"), note=note
    )
    answer = ask(connect, auditor, lambda s, m: s.DisposeFlag(request, metadata=m))
    print(f"{finding.value}; entry #{answer.receipt.index} of the log")


@app.command()
def protect(
    plates: Annotated[
        list[str] | None,
        typer.Argument(help="Plates; read from standard input, one a line, when none is given."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="End the protection instead.")] = False,
    auditor: Auditor = AUDITOR,
    connect: Connect = DEFAULT,
) -> None:
    """Protect plates: members' own, their families', canaries. A look at one is flagged. They are kept as keyed digests only."""
    named = plates or [line.strip() for line in sys.stdin if line.strip()]
    answer = ask(
        connect,
        auditor,
        lambda s, m: s.ProtectPlates(audit_pb2.ProtectPlatesRequest(plates=named, remove=remove), metadata=m),
    )
    print(f"{answer.protected} plates are protected now")
