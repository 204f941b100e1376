"""``plateward demo``: the whole platform on one machine, told step by step.

Everything shown is real: the processes, the database, the TLS handshakes, the policy, the log. The story is in
``story.py``; this module starts and stops what it needs.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from clients.cli.stack import DEFAULT_ROOT, Root, health_table, running, wait_for_interrupt
from clients.cli.story import Story, StoryError


def demo(
    root: Root = DEFAULT_ROOT,
    once: Annotated[
        bool, typer.Option("--once", help="End after the story instead of keeping the services running.")
    ] = False,
) -> None:
    """Set everything up, play traffic past a camera, search, get refused, verify a hit, and check the audit log.

    A second run reuses what is set up. Delete the folder given by --root to begin anew.
    """
    console = Console(highlight=False)
    begun = time.monotonic()
    console.rule("[bold]Plateward[/] — a licence-plate reader that proves what it does")
    try:
        with running(root, console) as stack:
            console.print(health_table(stack))
            console.print(
                f"Policy engine: [bold]{stack.policy_engine}[/]   PostgreSQL: embedded, {root / 'pg'}"
            )
            asyncio.run(Story(stack, root, console).tell())
            console.rule(f"[bold green]done[/] in {time.monotonic() - begun:.0f} s")
            if not once:
                console.print("The services keep running until Ctrl-C. Try, in another terminal:")
                console.print(
                    "  .venv/bin/plateward search '7K*' --offence vehicle-theft --case 26-004312 --reason 'silver Accord taken from Laguna Blvd'"
                )
                console.print("  .venv/bin/plateward hits list        .venv/bin/plateward audit --help")
                wait_for_interrupt()
    except StoryError as error:
        console.print(f"[bold red]The demo stopped:[/] {error}\nLogs: {root / 'logs'}")
        sys.exit(1)
