"""``plateward audit flags``: patterns of misuse that wait for a person."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from clients.cli.audit_calls import AUDITOR, DEFAULT, Auditor, Connect, ask
from clients.cli.audit_review import Finding
from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import types_pb2

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
    found = [f for page in _pages(auditor, connect, everything=everything) for f in page]
    table = Table(Column("flag", no_wrap=True, min_width=36), "what", "why", "disposition")
    for f in found:
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
    Console(highlight=False).print(table if found else "no flags: nothing waits for review")


@app.command()
def show(
    flag: Annotated[str, typer.Argument(help="ID of the flag, or the first letters of it.")],
    auditor: Auditor = AUDITOR,
    connect: Connect = DEFAULT,
) -> None:
    """Show one flag with every entry that it rests on, and how to go on.

    A flag is a question to a person, not a finding. Look at the searches (plateward audit search), ask for the case, then record
    what it was: compliant, clerical, unsupported or violation.
    """
    pages = _pages(auditor, connect, everything=True)
    found = next((some for page in pages if (some := [f for f in page if f.flag_id.startswith(flag)])), [])
    if len(found) != 1:
        word = "several flags begin" if found else "no flag of your agency begins"
        print(f"{word} with {flag}: `plateward audit flags list --all` shows them", file=sys.stderr)
        sys.exit(1)
    (f,) = found
    done = (
        audit_pb2.FindingKind.Name(f.disposition).removeprefix("FINDING_KIND_").lower()
        if f.disposition
        else "open"
    )
    console = Console(highlight=False)
    for name, value in (
        ("flag", f.flag_id), ("detector", f.detector), ("member", f.member_id), ("when", f"{f.raised_at.ToDatetime():%Y-%m-%d %H:%M} UTC"),
        ("why", f.explanation), ("entries", ", ".join(map(str, f.indexes))), ("disposition", done),
    ):  # fmt: skip
        console.print(f"[bold]{name:12}[/]{escape(value)}", soft_wrap=True)
    if not f.disposition:
        console.print(f"next: plateward audit search --member {escape(f.member_id)}", soft_wrap=True)
        console.print(
            f'then: plateward audit flags dispose {f.flag_id} --finding … --note "what was checked"',
            soft_wrap=True,
        )


def _pages(auditor: str, connect: Path, *, everything: bool) -> Iterator[Sequence[audit_pb2.Flag]]:
    """The flags of the auditor's agency, newest first, a page at a time."""
    request = audit_pb2.ListFlagsRequest(with_disposed=everything, page=types_pb2.PageRequest(size=500))
    while True:
        answer = ask(connect, auditor, lambda s, m: s.ListFlags(request, metadata=m))
        yield answer.flags
        request.page.token = answer.next_page_token
        if not answer.next_page_token:
            return


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
