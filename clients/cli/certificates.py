"""``plateward certificates``: destroy what is due, read and keep the certificates, verify one without a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from clients.cli.calls import id_column, moment
from clients.cli.certificate_page import page, verify_certificate
from clients.cli.evidence import show as show_verdict
from clients.cli.evidence import text_of
from clients.cli.lists import call_hotlist
from clients.cli.reads_calls import ADMINISTRATOR, HERE, Connect, ask
from plateward.common.v1 import types_pb2
from plateward.hotlist.v1 import hotlist_pb2
from plateward.reads.v1 import reads_pb2

app = typer.Typer(
    no_args_is_help=True,
    short_help="Destroy what is due; list, save and verify certificates of destruction.",
    help="Certificates of destruction. The service destroys by itself what no schedule keeps any more, and certifies each run: "
    "which range, how many reads and pictures, how many a hold kept back, under which schedule and policy version, with a "
    "commitment over the destroyed IDs and a signature. [bold]save[/] writes one as JSON and as a page that can be printed; "
    "[bold]verify[/] checks it without a network.",
    rich_markup_mode="rich",
)
_DESTROY_S = 600.0
Member = Annotated[str, typer.Option("--member", help="Member who asks: an administrator.")]


@app.command("list")
def list_certificates(
    rows: Annotated[int, typer.Option(min=1, max=500, help="Most rows to show.")] = 50,
    member: Member = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """List the certificates of your agency, of reads, pictures and hits, newest first."""
    both = [*_page(connect, member, rows).certificates, *_of_hits(connect, member, rows).certificates]
    _print(sorted(both, key=lambda c: c.destroyed_at.ToMicroseconds(), reverse=True)[:rows])


@app.command()
def destroy(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be destroyed.")] = False,
    member: Member = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """Destroy what is due now, without waiting for the service's own round."""
    request = reads_pb2.DestroyExpiredRequest(dry_run=dry_run)
    answer = ask(
        connect,
        member,
        lambda stub, options: stub.DestroyExpired(request, **{**options, "timeout": _DESTROY_S}),
    )
    if not answer.certificates:
        print("Nothing is due." if dry_run else "Nothing was due.")
        return
    _print(answer.certificates)


@app.command()
def save(
    certificate: Annotated[str, typer.Argument(help="ID of the certificate: plateward certificates list.")],
    folder: Annotated[Path, typer.Option(help="Where to write the two files.")] = Path(),
    member: Member = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """Write a certificate as JSON, to be verified, and as a page, to be read and printed."""
    for answer in (_page(connect, member, 500), _of_hits(connect, member, 500)):
        found = next((c for c in answer.certificates if c.certificate_id == certificate), None)
        if found is not None:
            break
    else:
        raise typer.BadParameter(
            "there is no certificate with this ID: plateward certificates list", param_hint="certificate"
        )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"certificate-{certificate}.json"
    target.write_text(
        json.dumps(json_format.MessageToDict(found), indent=2, ensure_ascii=False), encoding="utf-8"
    )
    target.with_suffix(".html").write_text(page(found, answer.verifier_key), encoding="utf-8")
    print(f"Wrote {target} and {target.with_suffix('.html').name}. Check it with:")
    print(f"  plateward certificates verify {target} --vkey {answer.verifier_key}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The JSON that `save` wrote.", exists=True, dir_okay=False)],
    vkey: Annotated[
        str, typer.Option(help="The agency's public key, or a file with it: plateward certificates key.")
    ] = "",
    log_vkey: Annotated[str, typer.Option(help="The audit log's public key, or a file with it.")] = "",
    ids: Annotated[
        Path | None,
        typer.Option(
            help="A list of IDs, one a line in the order in which they were destroyed, to compare with the commitment."
        ),
    ] = None,
) -> None:
    """Verify a certificate offline: signature, every figure, receipt, and the commitment where the IDs are known."""
    verdict = verify_certificate(file, text_of(vkey), text_of(log_vkey), ids)
    show_verdict(verdict, "Certificate of destruction, verified offline", "the certificate was altered")
    sys.exit(0 if verdict.ok else 1)


@app.command()
def key(
    hits: Annotated[bool, typer.Option("--hits", help="The key of certificates of hits.")] = False,
    member: Member = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """Print the public key of certificates and evidence packages, for the agency's policy page."""
    print((_of_hits if hits else _page)(connect, member, 1).verifier_key)


def _page(connect: Path, member: str, rows: int) -> reads_pb2.ListCertificatesResponse:
    request = reads_pb2.ListCertificatesRequest(page=types_pb2.PageRequest(size=rows))
    answer: reads_pb2.ListCertificatesResponse = ask(
        connect, member, lambda stub, options: stub.ListCertificates(request, **options)
    )
    return answer


def _of_hits(connect: Path, member: str, rows: int) -> hotlist_pb2.ListHitCertificatesResponse:
    request = hotlist_pb2.ListHitCertificatesRequest(page=types_pb2.PageRequest(size=rows))
    answer: hotlist_pb2.ListHitCertificatesResponse = call_hotlist(
        connect, member, lambda stub, options: stub.ListHitCertificates(request, **options)
    )
    return answer


def _print(certificates: object) -> None:
    table = Table(
        id_column("certificate"),
        "when",
        "kind",
        "seen from",
        "to",
        "destroyed",
        "held back",
        "schedule",
        highlight=False,
    )
    for c in certificates:  # type: ignore[attr-defined]
        table.add_row(
            c.certificate_id or "(not destroyed yet)", moment(c.destroyed_at), c.kind, moment(c.range.start), moment(c.range.end),
            f"{c.destroyed:,}", f"{c.held:,}", c.schedule,
        )  # fmt: skip
    Console().print(table)
