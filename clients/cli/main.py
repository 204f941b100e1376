"""The ``plateward`` command: mounts the sub-commands and turns failures into a sentence with the next step.

Heavy imports (video, models, database) happen inside the sub-commands: ``plateward --help`` must be quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from clients.cli.agreements import app as agreements
from clients.cli.approvals import app as approvals
from clients.cli.audit import app as audit
from clients.cli.cameras import app as cameras
from clients.cli.canvass import app as canvass
from clients.cli.certificates import app as certificates
from clients.cli.demo import demo
from clients.cli.entries import app as entries
from clients.cli.evaluation import evaluate
from clients.cli.evidence import app as evidence
from clients.cli.hits import app as hits
from clients.cli.holds import app as holds
from clients.cli.lists import app as lists
from clients.cli.login import login, logout
from clients.cli.members import app as members
from clients.cli.models import app as models
from clients.cli.policy import app as policy
from clients.cli.recognize import recognize
from clients.cli.releases import app as releases
from clients.cli.search import search
from clients.cli.stack import token, up
from clients.cli.witness import app as witness
from clients.connection import ConnectionFileError
from clients.gateway.command import gateway
from clients.issuer.command import app as issuer

app = typer.Typer(
    name="plateward",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="The licence-plate reader platform a police department can run and its public can trust.",
    epilog="Start with [bold]plateward demo[/bold], or [bold]plateward up[/bold] and then "
    "[bold]plateward search[/bold]. Every sub-command explains itself with --help.",
)
app.command(rich_help_panel="Try it")(demo)
app.command(rich_help_panel="Try it")(up)
app.command(rich_help_panel="Try it")(token)
app.command(rich_help_panel="Members and sharing")(login)
app.command(rich_help_panel="Members and sharing")(logout)
app.command(rich_help_panel="Read plates")(recognize)
app.command("eval", rich_help_panel="Read plates")(evaluate)
app.command(rich_help_panel="Read plates")(gateway)
app.add_typer(models, name="models", rich_help_panel="Read plates")
app.command(rich_help_panel="Work with reads")(search)
app.add_typer(canvass, name="canvass", rich_help_panel="Work with reads")
app.add_typer(cameras, name="cameras", rich_help_panel="Work with reads")
app.add_typer(holds, name="holds", rich_help_panel="Keep and destroy")
app.add_typer(evidence, name="evidence", rich_help_panel="Keep and destroy")
app.add_typer(certificates, name="certificates", rich_help_panel="Keep and destroy")
app.add_typer(entries, name="entries", rich_help_panel="Work with reads")
app.add_typer(lists, name="lists", rich_help_panel="Work with reads")
app.add_typer(hits, name="hits", rich_help_panel="Work with reads")
app.add_typer(policy, name="policy", rich_help_panel="Check the platform")
app.add_typer(members, name="members", rich_help_panel="Members and sharing")
app.add_typer(approvals, name="approvals", rich_help_panel="Members and sharing")
app.add_typer(agreements, name="agreements", rich_help_panel="Members and sharing")
app.add_typer(releases, name="releases", rich_help_panel="Members and sharing")
app.add_typer(issuer, name="issuer", rich_help_panel="Members and sharing")
app.add_typer(audit, name="audit", rich_help_panel="Check the platform")
app.add_typer(witness, name="witness", rich_help_panel="Check the platform")


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        print(f"plateward {version('plateward')}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Licence-plate reading that proves what it does."""


def run() -> None:
    """Entry point: known faults become one line on standard error and exit code 2."""
    try:
        app()
    except ConnectionFileError as error:
        print(f"plateward: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
