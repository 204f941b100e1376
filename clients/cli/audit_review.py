"""``plateward audit review``: the periodic audit, from plan to signed-off report."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from clients.cli.audit_calls import AUDITOR, DEFAULT, DESIGNEE, Auditor, Call, Connect, Designee, ask
from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import types_pb2

app = typer.Typer(
    no_args_is_help=True,
    help="The periodic audit (every 90 days by the sample policy): plan, draw a sample, find, sign off, report.",
    epilog="In order: plan, sample, find (for each sampled look), sign-off by the approver, report.",
)
Id = Annotated[str, typer.Argument(help="ID of the audit, as `plateward audit review list` shows it.")]


class Finding(StrEnum):
    """What a sampled look was."""

    COMPLIANT = "compliant"
    CLERICAL = "clerical"
    UNSUPPORTED = "unsupported"
    VIOLATION = "violation"


class Form(StrEnum):
    """Form of a report."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"


@app.command()
def plan(
    reviewer: Annotated[str, typer.Option(help="Member who reviews.")] = AUDITOR,
    approver: Annotated[str, typer.Option(help="Member who signs off; not the reviewer.")] = DESIGNEE,
    days: Annotated[int, typer.Option(min=1, max=400, help="Span: so many days up to --until.")] = 90,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day of the span (UTC); now, if left out."),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.01, max=1, help="Part of the looks that is sampled, at least.")
    ] = 0.01,
    auditor: Auditor = AUDITOR,
    connect: Connect = DEFAULT,
) -> None:
    """Plan an audit. Its sample is drawn by a seed that nobody can know yet."""
    end = until.replace(tzinfo=UTC) + timedelta(days=1) if until else datetime.now(UTC) - timedelta(seconds=1)
    audit = audit_pb2.Audit(reviewer_id=reviewer, approver_id=approver, sample_rate=rate)
    audit.span.start.FromDatetime(end - timedelta(days=days))
    audit.span.end.FromDatetime(end)
    answer = ask(
        connect, auditor, lambda s, m: s.PlanAudit(audit_pb2.PlanAuditRequest(audit=audit), metadata=m)
    )
    print(
        f"planned {answer.audit.audit_id}, due {answer.audit.due_at.ToDatetime():%Y-%m-%d}; entry #{answer.receipt.index} of the log"
    )
    print(f"next: plateward audit review sample {answer.audit.audit_id}")


@app.command("list")
def list_audits(auditor: Auditor = AUDITOR, connect: Connect = DEFAULT) -> None:
    """Show the audits of one's agency, open and done, and what is overdue."""
    answer = ask(
        connect,
        auditor,
        lambda s, m: s.ListAudits(
            audit_pb2.ListAuditsRequest(page=types_pb2.PageRequest(size=100)), metadata=m
        ),
    )
    table = Table(Column("audit", no_wrap=True, min_width=36), "span", "state", "reviewed", "due")
    for a in answer.audits:
        due, done = a.due_at.ToDatetime(UTC), a.state == audit_pb2.AUDIT_STATE_SIGNED_OFF
        late = not done and due < datetime.now(UTC)
        table.add_row(
            a.audit_id, f"{a.span.start.ToDatetime():%Y-%m-%d} to {a.span.end.ToDatetime():%Y-%m-%d}",
            audit_pb2.AuditState.Name(a.state).removeprefix("AUDIT_STATE_").replace("_", " ").lower(), f"{a.found} of {a.sampled} sampled of {a.population}" if a.sampled else f"by {a.reviewer_id}", f"[bold red]{due:%Y-%m-%d} overdue[/]" if late else f"{due:%Y-%m-%d}",
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command()
def sample(audit: Id, auditor: Auditor = AUDITOR, connect: Connect = DEFAULT) -> None:
    """Draw the sample (once), or show it again: positions in the log, and the seed that gives the same draw to anybody."""
    answer = ask(
        connect, auditor, lambda s, m: s.DrawSample(audit_pb2.DrawSampleRequest(audit_id=audit), metadata=m)
    )
    print(f"seed {answer.seed.hex()}")
    print(f"{len(answer.indexes)} looks to review: {', '.join(map(str, answer.indexes))}")


@app.command()
def find(
    audit: Id,
    entries: Annotated[list[int], typer.Argument(help="Positions in the log, as `sample` shows them.")],
    finding: Annotated[Finding, typer.Option(help="What the looks were.")],
    note: Annotated[str, typer.Option(help="In a sentence: what was checked, against what.")],
    action: Annotated[str, typer.Option(help="Corrective action; a violation needs one.")] = "",
    due: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When that must be done.")
    ] = None,
    auditor: Auditor = AUDITOR,
    connect: Connect = DEFAULT,
) -> None:
    """Record the finding on one or more sampled looks."""
    kind = audit_pb2.FindingKind.Value(f"FINDING_KIND_{finding.name}")
    for index in entries:
        request = audit_pb2.RecordFindingRequest(
            audit_id=audit, index=index, finding=kind, note=note, corrective_action=action
        )
        if due is not None:
            request.corrective_due_at.FromDatetime(due)
        ask(connect, auditor, _recorded(request))
        print(f"entry {index}: {finding.value}")


def _recorded(request: audit_pb2.RecordFindingRequest) -> Call[audit_pb2.RecordFindingResponse]:
    return lambda stub, metadata: stub.RecordFinding(request, metadata=metadata)


@app.command("sign-off")
def sign_off(audit: Id, approver: Designee = DESIGNEE, connect: Connect = DEFAULT) -> None:
    """Sign an audit off as its approver; every sampled look must have a finding."""
    answer = ask(
        connect,
        approver,
        lambda s, m: s.SignOffAudit(audit_pb2.SignOffAuditRequest(audit_id=audit), metadata=m),
    )
    print(f"signed off; entry #{answer.receipt.index} of the log")


@app.command()
def report(
    audit: Id,
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("audit-report.html"),
    form: Annotated[Form | None, typer.Option("--format", help="By the file's name, if left out.")] = None,
    auditor: Auditor = AUDITOR,
    connect: Connect = DEFAULT,
) -> None:
    """Write the report: HTML to print, JSON with everything, CSV of the sampled looks."""
    wanted = form or Form(
        out.suffix.lstrip(".") if out.suffix.lstrip(".") in {f.value for f in Form} else "html"
    )
    request = audit_pb2.GetAuditReportRequest(
        audit_id=audit, format=audit_pb2.ReportFormat.Value(f"REPORT_FORMAT_{wanted.name}")
    )
    answer = ask(connect, auditor, lambda s, m: s.GetAuditReport(request, metadata=m))
    out.write_bytes(answer.data)
    print(
        f"{out}: {len(answer.data):,} bytes, resting on a log of {answer.checkpoint.splitlines()[1]} entries"
    )


@app.command()
def redraw(
    report_json: Annotated[Path, typer.Argument(help="A report as JSON.", exists=True, dir_okay=False)],
) -> None:
    """Draw the sample of a report again from its seed, offline; ends with 1 when it is not the sample that was reviewed."""
    told: dict[str, Any] = json.loads(report_json.read_text(encoding="utf-8"))["3 sample"]
    seed, population = bytes.fromhex(told["seed"]), told["population indexes"]
    count = min(len(population), max(20, math.ceil(told["rate"] * len(population))))
    ranked = sorted(population, key=lambda i: hashlib.sha256(seed + i.to_bytes(8, "big")).digest())
    if sorted(ranked[:count]) != told["drawn"] or len(population) != told["population"]:
        print(f"NOT the same sample: {len(set(ranked[:count]) ^ set(told['drawn']))} looks differ")
        raise typer.Exit(1)
    print(f"the same {count} looks of {len(population)}, by seed {seed.hex()[:16]}…")
