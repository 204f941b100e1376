"""``plateward up`` and ``plateward token``: the embedded stack for trying things out. Not for production."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from clients.connection import Connection
from clients.devkit.opa import find_opa
from clients.devkit.stack import Stack, StackError

Root = Annotated[Path, typer.Option("--root", help="Folder of the embedded stack: keys, database, logs.")]
DEFAULT_ROOT = Path(".plateward")


@contextmanager
def running(root: Path, console: Console, *, issuer: bool = False) -> Iterator[Stack]:
    """Start the embedded stack with a progress bar; stop it, whatever happens, on the way out.

    Raises:
        StackError: a part did not come up; the message holds the end of its log.
    """
    stack = Stack(root, opa=find_opa(), embedded_issuer=issuer)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("starting", total=len(stack.steps))

            def report(step: str) -> None:
                progress.update(task, description=step)
                progress.advance(task)
                if not console.is_terminal:
                    console.print(f"  {step}")

            stack.start_all(report)
        yield stack
    except StackError as error:
        console.print(f"[bold red]The stack did not come up:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    finally:
        stack.stop()


def health_table(stack: Stack) -> Table:
    """Return a table of the services, their addresses and what they said about their health."""
    table = Table(title="Five services, five processes, mutual TLS between all of them", title_justify="left")
    for column in ("service", "address", "process", "health"):
        table.add_column(column)
    for row in stack.status():
        colour = "green" if row.health == "SERVING" else "red"
        table.add_row(row.name, row.target, str(row.pid), f"[{colour}]{row.health}[/]")
    return table


def wait_for_interrupt() -> None:
    """Block until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


def up(
    root: Root = DEFAULT_ROOT,
    issuer: Annotated[
        bool, typer.Option("--issuer", help="With the embedded issuer: members sign in (plateward login).")
    ] = False,
) -> None:
    """Start PostgreSQL, OPA and the five services with embedded defaults, and keep them running until Ctrl-C."""
    console = Console()
    with running(root, console, issuer=issuer) as stack:
        console.print(health_table(stack))
        console.print(f"Policy engine: {stack.policy_engine}. Logs: {root / 'logs'}. Stop with Ctrl-C.")
        if links := stack.enrolment_links():
            console.print(
                "Members set password and second factor here, each once and within a day; then plateward login:"
            )
            for member, link in links.items():
                console.print(f"  {member}  {link}", soft_wrap=True, highlight=False)
        console.print("Now try, in another terminal:")
        for command in (
            "cameras add cam-laguna-1 --name 'Laguna Blvd' --latitude 38.4088 --longitude -121.3716",
            "gateway --once --plate 7KXR482",
            "search '7K*' --offence vehicle-theft --case 26-004312 --reason 'silver Accord taken from Laguna Blvd'",
        ):
            console.print(f"  plateward {command}", soft_wrap=True)
        wait_for_interrupt()


def token(
    member: Annotated[str, typer.Argument(help="Member ID, for example m-1042.")],
    root: Root = DEFAULT_ROOT,
    mfa: Annotated[bool, typer.Option("--mfa/--no-mfa", help="With or without a second factor.")] = True,
) -> None:
    """Print a development token of a member, to use with other gRPC tools. Never for production."""
    sys.stdout.write(Connection.load(root).token(member, amr=("pwd", "otp") if mfa else ("pwd",)) + "\n")
