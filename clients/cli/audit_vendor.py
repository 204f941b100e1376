"""``plateward audit import-vendor``: the detectors and a report over another vendor's audit export; needs no running service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from clients.cli.audit_calls import AUDITOR, Auditor, ask
from plateward.audit.v1 import audit_pb2

_CHUNK = 1 << 19
_MOST_SHOWN = 40
_MOST_MALFORMED = 5
_FORMS = (".html", ".json", ".csv")


def import_vendor(
    file: Annotated[
        Path,
        typer.Argument(
            help="The export, as downloaded (CSV; comma, semicolon or tab; UTF-8, UTF-16 or Windows-1252).",
            exists=True,
            dir_okay=False,
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="flock-organization-audit (one's own searches) or flock-network-audit (searches of others in one's cameras).",
        ),
    ] = "flock-organization-audit",
    zone: Annotated[str, typer.Option(help="Zone of times that name none.")] = "America/Los_Angeles",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Report to write; its ending says the form: .html, .json, or .csv (flags only)."
        ),
    ] = None,
    connect: Annotated[
        Path | None,
        typer.Option(
            help="Send the export to the audit service of this stack instead: the import is then on record there."
        ),
    ] = None,
    auditor: Auditor = AUDITOR,
) -> None:
    """Run the misuse detectors on the audit log of a system that you have now.

    Nothing has to run for this, and nothing leaves this machine (unless --connect is given). Columns are found by their names,
    in any order: Name, Org Name, Total Networks Searched, Time Frame, License Plate, Reason, Case #, Search Time, Search Type,
    Text Prompt. Only Search Time must be there. Rows that cannot be read are counted and shown with their lines.

    Each pattern is a question to a person, not a finding: read the lines that it names, ask for the case, then decide.

    Example: plateward audit import-vendor search-audit.csv --out report.html
    """  # fmt: skip
    if out is not None and out.suffix.lower() not in _FORMS:
        _stop(f"{out} must end in one of {', '.join(_FORMS)}")
    if connect is None:
        _offline(file, form, zone, out)
    else:
        _online(file, form, zone, out, connect, auditor)


def _offline(file: Path, form: str, zone: str, out: Path | None) -> None:
    from services.audit.misuse.vendor import VendorError, VendorReader
    from services.audit.misuse.vendor_report import to_csv, to_dict, to_html, to_json
    from services.audit.misuse.vendor_run import summarise

    try:
        reader = VendorReader(form, "", _zone(zone))
        with _progress() as bar:
            reading = bar.add_task("reading", total=max(1, file.stat().st_size))
            for chunk in _chunks(file):
                reader.feed(chunk)
                bar.advance(reading, len(chunk))
            reader.end()
            looking = bar.add_task("looking", total=max(1, reader.rows))
            summary = summarise(reader, progress=lambda count: bar.update(looking, completed=count))
        reader.close()
    except VendorError as error:
        _stop(f"{file}: {error}")
    told = to_dict(summary)
    flags = [(f["detector"], f["member"], f["why"], f["lines"]) for f in told["flags"]]
    console = Console(highlight=False)
    if summary.first and summary.last:
        console.print(
            f"{summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d}: {summary.members:,} members, "
            f"{told['without_case_share']:.1%} of searches name no case, {told['vague_reasons_share']:.1%} give a reason that says nothing"
        )
    _show(
        console,
        summary.rows,
        summary.malformed_rows,
        [f"line {r.line}: {r.why}" for r in summary.malformed],
        flags,
    )
    if out is not None:
        _write(out, {".html": to_html, ".json": to_json, ".csv": to_csv}[out.suffix.lower()](summary))


def _online(file: Path, form: str, zone: str, out: Path | None, connect: Path, auditor: str) -> None:
    wanted = (
        audit_pb2.ReportFormat.Value(f"REPORT_FORMAT_{out.suffix[1:].upper()}")
        if out
        else audit_pb2.REPORT_FORMAT_UNSPECIFIED
    )

    def requests() -> Iterator[audit_pb2.ImportVendorAuditRequest]:
        first = audit_pb2.ImportVendorAuditRequest(format=form, time_zone=zone, report_format=wanted)
        yield first
        for chunk in _chunks(file):
            yield audit_pb2.ImportVendorAuditRequest(chunk=chunk)

    answer = ask(connect, auditor, lambda s, m: s.ImportVendorAudit(requests(), metadata=m), timeout_s=600)
    flags = [(f.detector, f.member_id, f.explanation, list(f.indexes)) for f in answer.flags]
    _show(Console(highlight=False), answer.rows, answer.malformed_rows, list(answer.malformed), flags)
    print(f"entry #{answer.receipt.index} of the log")
    if out is not None:
        _write(out, answer.report)


def _show(
    console: Console, rows: int, malformed_rows: int, malformed: list[str], flags: list[tuple[str, str, str, list[int]]]
) -> None:  # fmt: skip
    console.print(
        f"{rows:,} rows read, {malformed_rows:,} of them could not be read, {len(flags):,} patterns to look into"
    )
    for line in malformed[:_MOST_MALFORMED]:
        console.print(f"  [yellow]{escape(line)}[/]")
    if not flags:
        return
    table = Table("detector", "member", "why", "lines")
    for detector, member, why, lines in flags[:_MOST_SHOWN]:
        shown = ", ".join(map(str, lines[:8])) + (" …" if len(lines) > 8 else "")
        table.add_row(detector, escape(member), escape(why), shown)
    console.print(table)
    if len(flags) > _MOST_SHOWN:
        console.print(f"and {len(flags) - _MOST_SHOWN:,} more: write them all with --out report.html")


def _write(out: Path, data: bytes) -> None:
    try:
        out.write_bytes(data)
    except OSError as error:
        _stop(f"the report cannot be written to {out}: {error.strerror}")
    print(f"report: {out}")


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )  # fmt: skip


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        _stop(f"the time zone {name!r} is not known: use a name such as America/Los_Angeles")


def _stop(message: str) -> NoReturn:
    print(f"plateward: {message}", file=sys.stderr)
    sys.exit(2)
