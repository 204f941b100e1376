"""``plateward audit import-vendor``: the detectors and a report over another vendor's audit export; needs no running service."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jinja2
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.audit.misuse.flags import Flag
from services.audit.misuse.panel import Panel, detectors
from services.audit.misuse.vendor import FORMATS, VendorError, VendorReader
from services.audit.misuse.words import is_vague

_CHUNK = 1 << 20
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ d.file }}</title><style>
body { font: 11pt/1.45 Georgia, serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; width: 100%; font: 9.5pt/1.35 system-ui, sans-serif } th, td { text-align: left; vertical-align: top;
padding: .25rem .5rem; border-bottom: 1px solid #ddd; overflow-wrap: anywhere } th { background: #f3f3f0 } .big { font-size: 1.6rem }
</style><h1>Audit of another vendor's export</h1><p>{{ d.file }} ({{ d.format }}): <b>{{ "{:,}".format(d.rows) }}</b> searches by
<b>{{ d.members }}</b> people, {{ d.first }} to {{ d.last }}. {{ d.malformed }} rows could not be read.</p>
<p><span class="big">{{ "%.1f"|format(100 * d.without_case / (d.rows or 1)) }} %</span> name no case ·
<span class="big">{{ "%.1f"|format(100 * d.vague / (d.rows or 1)) }} %</span> give a reason that says nothing ·
<span class="big">{{ d.flags|length }}</span> patterns to look into</p>
<h2>Patterns</h2><table><tr><th>when<th>detector<th>member<th>why<th>lines of the file</tr>
{% for f in d.flags %}<tr><td>{{ f.at }}<td>{{ f.detector }}<td>{{ f.member }}<td>{{ f.why }}<td>{{ f.lines[:12]|join(", ") }}{{ " …" if f.lines|length > 12 }}</tr>
{% else %}<tr><td colspan="5">none</tr>{% endfor %}</table>
<h2>Most searches</h2><table>{% for name, n in d.top %}<tr><td>{{ name }}<td>{{ "{:,}".format(n) }}</tr>{% endfor %}</table>
<h2>Most frequent reasons</h2><table>{% for name, n in d.reasons %}<tr><td>{{ name or "(none)" }}<td>{{ "{:,}".format(n) }}</tr>{% endfor %}</table>
<p>A pattern is a reason to look, not a finding. The export itself cannot be checked: it shows what the vendor chose to show.</p></html>
"""


def import_vendor(
    file: Annotated[Path, typer.Argument(help="The export (CSV).", exists=True, dir_okay=False)],
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")] = FORMATS[0],
    zone: Annotated[str, typer.Option(help="Time zone of times that name none.")] = "America/Los_Angeles",
    out: Annotated[Path | None, typer.Option("--out", help="Report to write: .html or .json.")] = None,
) -> None:
    """Run the misuse detectors on another vendor's audit export, offline. Nothing leaves this machine."""
    try:
        reader = VendorReader(form, "imported", ZoneInfo(zone))
        told = _read(file, reader)
    except (VendorError, ZoneInfoNotFoundError) as error:
        Console(stderr=True, highlight=False).print(
            f"{file}: {error}. Formats: {', '.join(FORMATS)}", markup=False
        )
        raise typer.Exit(1) from None
    told |= {"file": file.name, "format": form}
    _show(told, reader)
    if out is not None:
        page = jinja2.Environment(autoescape=True).from_string(_PAGE).render(d=told)
        out.write_text(json.dumps(told, indent=1) if out.suffix == ".json" else page, encoding="utf-8")
        print(f"report: {out}")


def _read(file: Path, reader: VendorReader) -> dict[str, Any]:
    panel, flags = Panel(detectors()), list[Flag]()
    members, reasons = Counter[str](), Counter[str]()
    vague = without = 0
    first = last = ""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        file.open("rb") as source,
    ):
        task = progress.add_task("reading", total=file.stat().st_size)
        chunk: bytes | None = b""
        while chunk is not None:
            chunk = source.read(_CHUNK) or None
            for look in reader.feed(chunk) if chunk is not None else reader.end():
                members[look.member_id] += 1
                reasons[look.reason[:60].lower()] += 1
                vague += is_vague(look.reason)
                without += not look.case_number
                day = f"{look.at:%Y-%m-%d}"
                first, last = min(first or day, day), max(last, day)
                flags += panel.see(look)
            progress.advance(task, len(chunk or b""))
    return {
        "rows": reader.rows, "malformed": len(reader.malformed), "members": len(members), "first": first, "last": last,
        "without_case": without, "vague": vague, "top": members.most_common(20), "reasons": reasons.most_common(20),
        "flags": [
            {"at": f"{f.at:%Y-%m-%d %H:%M}", "detector": f.detector, "member": f.member_id, "why": f.explanation, "lines": list(f.indexes)}
            for f in sorted(flags, key=lambda f: f.at)
        ],
    }  # fmt: skip


def _show(told: dict[str, Any], reader: VendorReader) -> None:
    console = Console(highlight=False)
    rows = told["rows"] or 1
    console.print(
        f"{told['rows']:,} searches by {told['members']} people, {told['first']} to {told['last']}; "
        f"{told['without_case'] / rows:.1%} name no case, {told['vague'] / rows:.1%} give a reason that says nothing"
    )
    if reader.malformed:
        shown = "; ".join(f"line {line}: {why}" for line, why in reader.malformed[:5])
        console.print(f"[yellow]{len(reader.malformed)} rows could not be read:[/] ", end="")
        console.print(shown, markup=False)
    table = Table(
        "when",
        "detector",
        "member",
        "why",
        title=f"{len(told['flags'])} patterns to look into",
        title_justify="left",
    )
    for f in told["flags"][:50]:
        table.add_row(f["at"], f["detector"], f["member"], f["why"])
    console.print(table)
