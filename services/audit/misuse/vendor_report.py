"""The report on another vendor's export: JSON, CSV of its flags, and HTML that prints well."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from typing import Any

import jinja2

from services.audit.misuse.vendor_run import Summary

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MOST_LINES = 60
_MOST_FLAGS_HTML = 1000


def to_dict(summary: Summary) -> dict[str, Any]:
    """The summary as plain values: counts, ISO 8601 times in UTC, flags with the lines of the file that they rest on."""
    looks = max(1, sum(summary.actions.values()))
    return {
        "format": summary.form, "rows": summary.rows, "malformed_rows": summary.malformed_rows,
        "malformed": [{"line": row.line, "why": row.why} for row in summary.malformed], "duplicates": summary.duplicates,
        "redacted_rows": summary.redacted_rows, "first": summary.first.isoformat() if summary.first else None,
        "last": summary.last.isoformat() if summary.last else None, "members": summary.members,
        "without_case": summary.without_case, "without_case_share": round(summary.without_case / looks, 4),
        "vague_reasons": summary.vague, "vague_reasons_share": round(summary.vague / looks, 4), "without_plate": summary.without_plate,
        "organisations": dict(summary.organisations), "reasons": dict(summary.reasons), "search_types": dict(summary.actions),
        "missing_columns": summary.missing_columns, "unknown_columns": summary.unknown_columns,
        "flags_by_detector": dict(summary.flags_by_detector),
        "flags": [
            {"detector": f.detector, "member": f.member_id, "subject": f.subject, "at": f.at.isoformat(), "why": f.explanation, "lines": list(f.indexes)}
            for f in summary.flags
        ],
    }  # fmt: skip


def to_json(summary: Summary) -> bytes:
    """The whole of it."""
    return (json.dumps(to_dict(summary), indent=1, ensure_ascii=False) + "\n").encode()


def to_csv(summary: Summary) -> bytes:
    """The flags, a row each; no cell is one that a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["detector", "member", "subject", "when (UTC)", "why", "lines"])
    for f in summary.flags:
        lines = " ".join(map(str, f.indexes))
        writer.writerow([_cell(x) for x in (f.detector, f.member_id, f.subject, f"{f.at:%Y-%m-%d %H:%M}", f.explanation, lines)])  # fmt: skip
    return text.getvalue().encode()


def to_html(summary: Summary) -> bytes:
    """One file, no scripts, nothing fetched."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((files(__package__) / "vendor.html").read_text(encoding="utf-8"))
    told = to_dict(summary)
    return template.render(d=told, flags=told["flags"][:_MOST_FLAGS_HTML], most_lines=_MOST_LINES).encode()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
