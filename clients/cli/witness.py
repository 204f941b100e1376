"""``plateward witness``: vouch, from outside, that the audit log only grows.

A newspaper, an auditor or another agency runs it. It needs one key, one file of state, and nothing of the agency.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from aiohttp import web
from rich.console import Console
from rich.table import Table

from clients.witness.pull import PullError, pull
from clients.witness.server import Witness
from clients.witness.state import StateError, WitnessState
from tlog.note import KeyType, NoteError, SignerKey, VerifierKey

app = typer.Typer(
    no_args_is_help=True,
    help="Run a witness: an outsider that remembers the log's last checkpoint and refuses one that contradicts it.",
)
Key = Annotated[
    Path, typer.Option("--key", help="The witness's private key (made by `plateward witness init`).")
]
State = Annotated[Path, typer.Option("--state", help="The one file that the witness keeps; back it up.")]
Logs = Annotated[
    list[str],
    typer.Option("--log", help="Public key of a log that is witnessed, or a file with it; may be repeated."),
]


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="Name of the witness, like a domain: witness.example-news.org")],
    key: Key = Path("witness.key"),
) -> None:
    """Make the witness's key; print the public key that the agency puts into its configuration."""
    try:
        made = SignerKey.generate(name, KeyType.COSIGNATURE_V1)
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _end(f"{key} exists: a witness that changes its key is another witness. Name another file with --key")
    except NoteError as error:
        _end(str(error))
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(made.encode() + "\n")
    print(made.verifier)


@app.command()
def run(
    log: Logs,
    key: Key = Path("witness.key"),
    state: State = Path("witness.state"),
    listen: Annotated[
        str, typer.Option(help="Address and port to listen on; put TLS in front.")
    ] = "127.0.0.1:7490",
) -> None:
    """Answer the log over HTTP: cosign a checkpoint that extends the last one, refuse and keep one that does not."""
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        _end(f"--listen takes ADDRESS:PORT, like 127.0.0.1:7490, not {listen}")
    witness = Witness(_signer(key), _verifiers(log), _state(state))
    web.run_app(witness.application(), host=host or "127.0.0.1", port=int(port), print=_say, access_log=None)


@app.command()
def check(
    url: Annotated[str, typer.Argument(help="Address of the public log: the folder that holds /checkpoint.")],
    log: Logs,
    state: State = Path("witness.state"),
) -> None:
    """Fetch the log's checkpoint, prove that it extends the last one seen, remember it. For a daily job: no open port.

    Ends with 1 when the log contradicts what was seen before; the contradicting checkpoint is kept as evidence.
    """
    kept = _state(state)
    try:
        before, after = pull(url, _verifiers(log), kept)
    except PullError as error:
        _end(str(error))
    print(
        f"{after.origin}: {before} entries seen before, {after.size} now, all of the earlier ones unchanged"
    )


@app.command()
def show(state: State = Path("witness.state")) -> None:
    """Show what the witness remembers."""
    table = Table("log", "size", "root", "evidence against it")
    for origin, kept in sorted(_state(state).logs().items()):
        last = kept.checkpoint if kept.note else None
        table.add_row(
            origin, str(last.size) if last else "", last.root.hex()[:16] if last else "", str(len(kept.evidence) or "")
        )  # fmt: skip
    Console(highlight=False).print(table)


def _say(text: str) -> None:
    print(text.replace("=", "").strip(), file=sys.stderr)


def _signer(path: Path) -> SignerKey:
    try:
        key = SignerKey.parse(path.read_text(encoding="utf-8").strip())
    except (OSError, NoteError) as error:
        _end(f"{error}: make a key with `plateward witness init NAME --key {path}`")
    if key.kind is not KeyType.COSIGNATURE_V1:
        _end(f"{path} holds a log's key, not a witness's: make one with `plateward witness init`")
    return key


def _verifiers(texts: list[str]) -> list[VerifierKey]:
    try:
        return [
            VerifierKey.parse((Path(t).read_text(encoding="utf-8") if Path(t).is_file() else t).strip())
            for t in texts
        ]
    except NoteError as error:
        _end(f"--log: {error}. The agency publishes the key; `curl <public log>/log.vkey` shows it")


def _state(path: Path) -> WitnessState:
    try:
        return WitnessState(path)
    except StateError as error:
        _end(str(error))


def _end(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)
