"""A report as JSON, as CSV of its sampled looks, and as HTML that prints well."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_json(parts: Mapping[str, Any]) -> bytes:
    """The whole report."""
    return (json.dumps(parts, indent=1, ensure_ascii=False) + "\n").encode()


def to_csv(parts: Mapping[str, Any]) -> bytes:
    """The sampled looks, a row each; the first line holds the checkpoint's size and root."""
    rows: list[dict[str, Any]] = parts["4 sampled looks"]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["entry"]
    text = io.StringIO()
    writer = csv.writer(text)
    scope = parts["1 scope"]
    writer.writerow(
        [f"# {parts['title']}", f"log of {scope['entries now']} entries", f"root {scope['root now']}"]
    )
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name, "")) for name in columns])
    return text.getvalue().encode()


def to_html(parts: Mapping[str, Any]) -> bytes:
    """The whole report, one file, no scripts, nothing fetched."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((files(__package__) / "report.html").read_text(encoding="utf-8"))
    numbered = {name: value for name, value in parts.items() if name[0].isdigit()}
    numbered["4 sampled looks"] = [_condensed(row) for row in parts["4 sampled looks"]]
    return template.render(parts=parts, numbered=numbered).encode()


def _condensed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A sampled look in columns that fit a page."""

    def joined(*names: str) -> str:
        return ", ".join(str(row[name]) for name in names if row.get(name))

    return {
        "entry": f"{row['entry']} ({row['why']})", "who and when": joined("member", "agency", "at", "look"),
        "for": joined("purpose", "case", "reason"), "asked for": row.get("asked for", ""), "results": row.get("results", ""),
        "finding": row["finding"], "note": joined("note", "corrective action"),
    }  # fmt: skip


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
