"""``plateward certificates``: destroy what is due, read and keep the certificates, verify one without a network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from clients.cli.audit_verdict import Verdict
from clients.cli.calls import id_column, moment
from clients.cli.certificate_page import check_certificate, page, verify_certificate
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
    "commitment over the destroyed IDs and a signature. [bold]list --verify[/] checks all of them, [bold]save[/] writes one as JSON and as a page that can be printed; "
    "[bold]verify[/] checks it without a network.",
    rich_markup_mode="rich",
)
_DESTROY_S = 600.0
_PAGE = 500
HITS = "hit"  # kind of the certificates that `hotlist` issues, with its own key
Member = Annotated[str, typer.Option("--member", help="Member who asks: an administrator.")]


@app.command("list")
def list_certificates(
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="Most rows to show.")] = 50,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Check each one's signature and figures here, without asking the service; ends with 1 when one does not hold.",
        ),
    ] = False,
    vkey: Annotated[
        str,
        typer.Option(help="With --verify: the agency's public key as it is published, or a file with it."),
    ] = "",
    hits_vkey: Annotated[
        str, typer.Option(help="With --verify: the public key of certificates of hits, or a file with it.")
    ] = "",
    log_vkey: Annotated[
        str,
        typer.Option(
            help="With --verify: the audit log's public key, or a file with it: checks receipts too."
        ),
    ] = "",
    member: Member = ADMINISTRATOR,
    connect: Connect = HERE,
) -> None:
    """List the certificates of your agency, of reads, pictures and hits, newest first, with sums for each kind."""
    of_reads, given = _listed(connect, member, rows, _page)
    of_hits, given_for_hits = _listed(connect, member, rows, _of_hits)
    both = sorted([*of_reads, *of_hits], key=lambda c: c.destroyed_at.ToMicroseconds(), reverse=True)
    certificates = both[:rows]
    if not verify:
        _print(certificates)
        return
    key, log_key = text_of(vkey) or given, text_of(log_vkey)
    hits_key = text_of(hits_vkey) or given_for_hits
    verdicts = [_checked(c, hits_key if c.kind == HITS else key, log_key) for c in certificates]
    _print(certificates, verdicts)
    console = Console(highlight=False)
    if not vkey:
        console.print(
            "[yellow]note:[/] checked against the key that the service itself gave: give --vkey, as the agency publishes it"
        )
    wrong = [(c, v) for c, v in zip(certificates, verdicts, strict=True) if not v.ok]
    for certificate, verdict in wrong:
        for check in verdict.checks:
            if not check.ok:
                console.print(f"{certificate.certificate_id}: {check.what}: {check.result}", markup=False)
    console.print(
        f"[bold red]NOT VERIFIED[/]: {len(wrong)} of {len(verdicts)} do not hold"
        if wrong
        else f"[bold green]VERIFIED[/]: {len(verdicts)} certificates"
    )
    sys.exit(1 if wrong else 0)


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


def _page(connect: Path, member: str, rows: int, token: str = "") -> reads_pb2.ListCertificatesResponse:
    request = reads_pb2.ListCertificatesRequest(page=types_pb2.PageRequest(size=rows, token=token))
    answer: reads_pb2.ListCertificatesResponse = ask(
        connect, member, lambda stub, options: stub.ListCertificates(request, **options)
    )
    return answer


def _of_hits(
    connect: Path, member: str, rows: int, token: str = ""
) -> hotlist_pb2.ListHitCertificatesResponse:
    request = hotlist_pb2.ListHitCertificatesRequest(page=types_pb2.PageRequest(size=rows, token=token))
    answer: hotlist_pb2.ListHitCertificatesResponse = call_hotlist(
        connect, member, lambda stub, options: stub.ListHitCertificates(request, **options)
    )
    return answer


def _listed(
    connect: Path, member: str, rows: int, one_page: Callable[..., Any]
) -> tuple[list[reads_pb2.Certificate], str]:
    """Return up to so many certificates, page by page, and the key that the service gives."""
    found: list[reads_pb2.Certificate] = []
    token, key = "", ""
    while len(found) < rows:
        answer = one_page(connect, member, min(rows - len(found), _PAGE), token)
        found += answer.certificates
        token, key = answer.next_page_token, answer.verifier_key
        if not token:
            break
    return found, key


def _checked(certificate: reads_pb2.Certificate, key: str, log_key: str) -> Verdict:
    verdict = Verdict()
    check_certificate(certificate, key, log_key, verdict)
    return verdict


def _print(certificates: Sequence[reads_pb2.Certificate], verdicts: Sequence[Verdict] = ()) -> None:
    table = table_of(certificates, verdicts)
    Console().print(table)


def table_of(certificates: Sequence[reads_pb2.Certificate], verdicts: Sequence[Verdict] = ()) -> Table:
    """Return certificates as a table, a line each, and a sum for each kind below."""
    titles = ["when", "kind", "seen from", "to", "destroyed", "held back", "schedule"]
    table = Table(id_column("certificate"), *titles, *(["verified"] if verdicts else []), highlight=False)
    for number, c in enumerate(certificates):
        row = [
            c.certificate_id or "(not destroyed yet)", moment(c.destroyed_at), c.kind, moment(c.range.start), moment(c.range.end),
            f"{c.destroyed:,}", f"{c.held:,}", c.schedule,
        ]  # fmt: skip
        if verdicts:
            row.append("[green]yes[/]" if verdicts[number].ok else "[bold red]NO[/]")
        table.add_row(*row)
    table.add_section()
    for kind in sorted({c.kind for c in certificates}):
        of_kind = [c for c in certificates if c.kind == kind]
        destroyed, held = sum(c.destroyed for c in of_kind), sum(c.held for c in of_kind)
        table.add_row(
            f"{len(of_kind)} certificates", "in all", kind, "", "", f"{destroyed:,}", f"{held:,}", ""
        )
    return table
