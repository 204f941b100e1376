"""``plateward issuer``: run the embedded issuer, and keep its accounts."""

from __future__ import annotations

import asyncio
import signal
import ssl
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    short_help="The embedded issuer of member tokens, for agencies without an identity provider.",
    help="The embedded issuer of member tokens, for agencies without an identity provider: passwords, authenticators, passkeys. "
    "An agency that has one (OpenID Connect) names it to the services instead (TOKEN_ISSUER) and does not need this.",
)
Folder = Annotated[
    Path, typer.Option("--folder", help="Folder of the issuer's file and key; readable by its user only.")
]
Url = Annotated[
    str,
    typer.Option(
        "--url",
        help="Address under which members reach it, as tokens name it. Example: https://id.egpd.example.",
    ),
]
DEFAULT_FOLDER = Path(".plateward/issuer")
DEFAULT_URL = "https://localhost:7443"


@app.command()
def run(
    cert: Annotated[Path, typer.Option(help="Certificate chain of the address (PEM).")],
    key: Annotated[Path, typer.Option(help="Private key of the certificate (PEM).")],
    url: Url = DEFAULT_URL,
    listen: Annotated[str, typer.Option(help="Address and port to listen on.")] = "127.0.0.1:7443",
    client: Annotated[
        list[str] | None,
        typer.Option(help="A program besides the command line, as ID=address to return to; may be repeated."),
    ] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Run the issuer until it is stopped. The services find its keys at its address by themselves.

    Give the services TOKEN_ISSUER=<url>, no TOKEN_JWKS, and TOKEN_CA where its certificate is of an authority of your own.
    """
    clients: dict[str, list[str]] = {}
    for pair in client or []:
        name, _, address = pair.partition("=")
        if not name or not address.startswith("https://"):
            raise typer.BadParameter(f"{pair!r}: give ID=https://…", param_hint="--client")
        clients.setdefault(name, []).append(address)
    asyncio.run(_serve(url, listen, cert, key, folder, clients))


@app.command()
def add(
    member: Annotated[str, typer.Argument(help="Member ID, as in the agency's list. Example: m-1042.")],
    name: Annotated[str, typer.Option(help="Name as the record must show it. Example: 'Ofc. Dana Reyes'.")],
    agency: Annotated[
        str, typer.Option(help="Agency, as in its certificates. Example: elk-grove-pd.")
    ] = "elk-grove-pd",
    federal: Annotated[
        bool, typer.Option("--federal", help="Works for a federal task force: every token will say so.")
    ] = False,
    url: Url = DEFAULT_URL,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Add an account, or change one, and print the link with which the member enrols: once, within a day.

    Who may do what stays in the agency's list (plateward members): an account here only proves who somebody is.
    """
    from clients.issuer.enrol import new_link
    from clients.issuer.parts import build

    issuer = build(url, folder, {})
    issuer.store.add_account(member, agency, name, federal=federal, now=issuer.now)
    console = Console(highlight=False)
    console.print(f"{member} ({name}, {agency}) enrols at:")
    print(new_link(issuer, member))


@app.command("list")
def list_accounts(url: Url = DEFAULT_URL, folder: Folder = DEFAULT_FOLDER) -> None:
    """List the accounts: who has set password and second factor, and who is locked."""
    from clients.issuer.parts import build

    issuer = build(url, folder, {})
    table = Table("member", "name", "agency", "password", "second factor", "state")
    for account in issuer.store.accounts():
        factors = ["authenticator"] * account.has_totp + [f"{account.passkeys} passkey(s)"] * bool(
            account.passkeys
        )
        locked = issuer.tries.locked_for(account.member_id, issuer.now)
        state = "disabled" if account.disabled else f"locked {locked / 60:.0f} min" if locked else "open"
        federal = " (federal task force)" if account.federal else ""
        table.add_row(
            account.member_id, account.name + federal, account.agency_id, "set" if account.password_hash else "missing",
            ", ".join(factors) or "missing", state,
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command()
def unlock(
    member: Annotated[str, typer.Argument(help="Member ID.")], url: Url = DEFAULT_URL, folder: Folder = DEFAULT_FOLDER
) -> None:  # fmt: skip
    """Forget a member's failed tries."""
    from clients.issuer.parts import build

    done = build(url, folder, {}).tries.forget(member)
    print(f"{member} may try again" if done else f"{member} had no failed tries")


@app.command()
def disable(
    member: Annotated[str, typer.Argument(help="Member ID.")],
    enable: Annotated[bool, typer.Option("--enable", help="Switch it on again.")] = False,
    url: Url = DEFAULT_URL,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Switch an account off: its sessions end now, and the token it holds within ten minutes. Suspend the member too."""
    from clients.issuer.parts import build

    if not build(url, folder, {}).store.disable(member, disabled=not enable):
        raise typer.BadParameter(
            f"there is no account {member!r}: plateward issuer list", param_hint="member"
        )
    print(
        f"{member} is {'on again: the member signs in anew' if enable else 'off, and its sessions have ended'}"
    )


@app.command("rotate-key")
def rotate_key(url: Url = DEFAULT_URL, folder: Folder = DEFAULT_FOLDER) -> None:
    """Sign with a new key from now on. The one before it stays published for two days; services follow by themselves."""
    from clients.issuer.parts import build

    issuer = build(url, folder, {})
    print(f"new key {issuer.keys.rotate(issuer.now)}")


async def _serve(
    url: str, listen: str, cert: Path, key: Path, folder: Path, clients: dict[str, list[str]]
) -> None:
    from aiohttp import web

    from clients.issuer.app import application
    from clients.issuer.parts import build
    from servicekit.telemetry import configure_logging

    configure_logging("issuer", "INFO")
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    trust.load_cert_chain(cert, key)
    issuer = build(url, folder, clients)
    runner = web.AppRunner(application(issuer), access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, host, int(port), ssl_context=trust).start()
        Console(highlight=False).print(f"issuer {url} listens on {listen}; stop with Ctrl-C")
        await stop.wait()
    finally:
        await runner.cleanup()
        issuer.store.close()
