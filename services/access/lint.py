"""Finds where a policy document contradicts itself, the law of its packs, or what the platform enforces.

Rules
-----
1. A finding names every clause that is part of it, and says in a sentence what to do.
2. A finding that is *refused* keeps the document from being published; the others are advice.
3. Nothing that can be read as YAML is too broken to be looked at: what is missing is a finding, not a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from services.access.lint_claims import CLAIM_CHECKS, Finding
from services.access.lint_law import LAW_CHECKS
from services.access.lint_text import TEXT_CHECKS
from services.access.policy import PolicyError, parse, schema

ELEMENTS: Mapping[str, tuple[str, str]] = {
    "purposes": ("A", "authorised purposes"),
    "access": ("B", "job titles that may use the system, and their training"),
    "monitoring": ("C", "how use is monitored"),
    "sharing": ("D", "purposes, process and restrictions of sharing"),
    "custodian": ("E", "title of the official custodian"),
    "accuracy": ("F", "measures for accuracy and the correction of errors"),
    "retention": ("G", "length of retention, and how data is destroyed"),
}
_STATUTE = "Civil Code 1798.90.51(b)(2)"


def lint(text: str) -> list[Finding]:
    """Return what is wrong with a document; the refused findings first."""
    try:
        document = parse(text)
    except PolicyError as error:
        return [Finding("not-yaml", ("document",), str(error), refused=True)]
    shape = list(_shape(document))
    found = [*_elements(document), *shape]
    for check in (*CLAIM_CHECKS, *LAW_CHECKS, *TEXT_CHECKS):
        try:
            found += list(check(document))
        except (AttributeError, KeyError, TypeError, ValueError):
            # A group of another shape cannot be judged; that is refused already. In a document of the right shape it is a fault.
            if not shape:
                raise
    unique = {(f.rule, f.clauses, f.message): f for f in found}
    return sorted(unique.values(), key=lambda f: (not f.refused, f.rule, f.clauses))


def _elements(document: Mapping[str, Any]) -> Iterator[Finding]:
    for name, (letter, what) in ELEMENTS.items():
        if not _filled(document.get(name)):
            yield Finding(
                "element-missing",
                (f"{_STATUTE}({letter})", name),
                f"the policy has no element ({letter}), {what}: fill in {name!r}, the statute asks for it",
                refused=True,
            )


def _filled(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_filled(v) for v in value.values())
    return value not in (None, "", [])


def _shape(document: Mapping[str, Any]) -> Iterator[Finding]:
    validator = jsonschema.Draft202012Validator(schema())
    missing = {name for name in ELEMENTS if not _filled(document.get(name))}
    for error in validator.iter_errors(document):
        path = "/".join(map(str, error.absolute_path))
        if (
            error.validator == "required"
            and not path
            and any(f"'{name}'" in error.message for name in missing)
        ):
            continue
        if path.split("/")[0] in missing:
            continue
        yield Finding(
            "shape", (path or "document",), f"{path or 'document'}: {error.message[:300]}", refused=True
        )
