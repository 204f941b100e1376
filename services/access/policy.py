"""The agency's written policy: a document that is checked, versioned, and turned into the data that Rego decides with.

Rules
-----
1. The document has the seven elements of Civil Code 1798.90.51(b)(2); one that is missing or empty is refused.
2. The version is the SHA-256 over rules and document: a decision names exactly what decided it.
3. Data for Rego is objects, never arrays: looking a key up does not depend on how many there are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml

PACKAGE = "services.access"
_VERSION_DIGITS = 16


class PolicyError(Exception):
    """The document cannot be used; the message names the element."""


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """Rules and document in force, with their version."""

    version: str
    text: str
    document: dict[str, Any]
    rules: dict[str, str]
    data: dict[str, Any]


def rego_rules() -> dict[str, str]:
    """Return file name → text of the Rego rules."""
    root = Path(str(files(PACKAGE) / "policy"))
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.rego"))
    }


def sample_document(name: str) -> str:
    """Return the text of a sample document.

    Raises:
        PolicyError: there is no such sample.
    """
    file = files(PACKAGE) / "samples" / f"{name}.yaml"
    if not file.is_file():
        raise PolicyError(f"there is no sample policy {name!r}")
    return file.read_text(encoding="utf-8")


def load_bundle(text: str) -> PolicyBundle:
    """Check a document and return it with the rules, as a bundle.

    Raises:
        PolicyError: the document is no YAML, or an element is missing or malformed.
    """
    schema = yaml.safe_load((files(PACKAGE) / "policy_schema.yaml").read_text(encoding="utf-8"))
    try:
        document = yaml.safe_load(text)
        jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())
    except yaml.YAMLError as error:
        raise PolicyError(f"the policy document is no YAML: {error}") from error
    except jsonschema.ValidationError as error:
        raise PolicyError(
            f"the policy document, at {'/'.join(map(str, error.absolute_path)) or 'its top'}: {error.message}"
        ) from error
    rules = rego_rules()
    digest = hashlib.sha256()
    for name, rule in rules.items():
        digest.update(f"{name}\0{rule}\0".encode())
    digest.update(text.encode())
    return PolicyBundle(digest.hexdigest()[:_VERSION_DIGITS], text, document, rules, _data(document))


def _data(document: dict[str, Any]) -> dict[str, Any]:
    purposes = document["purposes"]
    return {
        "packs": dict.fromkeys(document["packs"], True),
        "offences": {
            code: {"needs_case": offence["needs_case"]} for code, offence in purposes["offences"].items()
        },
        "offence_list": ", ".join(sorted(purposes["offences"])),
        "prohibited": {
            use: {
                "rule": entry["rule"],
                "text": entry["text"],
                "words": dict.fromkeys(map(str, entry["words"]), True),
            }
            for use, entry in purposes["prohibited"].items()
        },
        "vague": dict.fromkeys(map(str, purposes["vague_words"]), True),
        "training": document["access"]["training"],
        "keep_seconds": document["retention"]["read"]["days"] * 86_400,
    }
