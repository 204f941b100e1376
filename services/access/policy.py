"""The agency's written policy: a document that is checked, versioned, and turned into the data that Rego decides with.

Rules
-----
1. The document has the seven elements of Civil Code 1798.90.51(b)(2); one that is missing or empty is refused.
2. The version is the SHA-256 over rules, packs, published tables and document: a decision names exactly what decided it.
3. What a document does not say stays as strict as it was: an optional part that is left out never opens anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from services.access.policy_data import Kept, compiled

PACKAGE = "services.access"
PACKS = ("ca", "va", "wa", "nh")
_VERSION_DIGITS = 16


class PolicyError(Exception):
    """The document cannot be used; the message names the element."""


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """Rules and document of one version."""

    version: str
    text: str
    document: dict[str, Any]
    rules: dict[str, str]
    data: dict[str, Any]
    tables: dict[str, str]

    @property
    def kept(self) -> dict[str, Kept]:
        """Kind → how long it is kept in force."""
        return {kind: Kept(**entry) for kind, entry in self.data["kept"].items()}


def _root() -> Path:
    return Path(str(files(PACKAGE) / "policy"))


@cache
def _texts(folder: str, ending: str) -> dict[str, str]:
    root = _root()
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in sorted((root / folder).rglob(f"*{ending}"))
    }


def rego_rules() -> dict[str, str]:
    """Return file name → text of the Rego rules."""
    return dict(_texts("", ".rego"))


@cache
def static_data() -> dict[str, dict[str, Any]]:
    """Return name → content of what stands beside the rules: the platform, the agency's clauses, the packs."""
    return {Path(name).stem: yaml.safe_load(text) for name, text in _texts("data", ".yaml").items()}


def tables() -> dict[str, str]:
    """Return file name → text of the published tables."""
    return dict(_texts("tables", ".yaml"))


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a document."""
    loaded: dict[str, Any] = yaml.safe_load(
        (files(PACKAGE) / "policy_schema.yaml").read_text(encoding="utf-8")
    )
    return loaded


def sample_document(name: str) -> str:
    """Return the text of a sample document.

    Raises:
        PolicyError: there is no such sample.
    """
    file = files(PACKAGE) / "samples" / f"{name}.yaml"
    if not file.is_file():
        raise PolicyError(f"there is no sample policy {name!r}")
    return file.read_text(encoding="utf-8")


def parse(text: str) -> dict[str, Any]:
    """Return a document as it stands, unchecked.

    Raises:
        PolicyError: it is no YAML, or no mapping.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PolicyError(f"the policy document is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise PolicyError(
            "the policy document is no mapping of elements: begin with the sample, samples/elk-grove-pd.yaml"
        )
    return document


def load_bundle(text: str) -> PolicyBundle:
    """Check a document and return it with the rules, as a bundle.

    Raises:
        PolicyError: the document is no YAML, or an element is missing or malformed.
    """
    document = parse(text)
    try:
        jsonschema.validate(document, schema(), format_checker=jsonschema.FormatChecker())
    except jsonschema.ValidationError as error:
        raise PolicyError(
            f"the policy document, at {'/'.join(map(str, error.absolute_path)) or 'its top'}: {error.message}"
        ) from error
    rules, static = rego_rules(), static_data()
    digest = hashlib.sha256()
    for name, content in (*rules.items(), *_texts("data", ".yaml").items(), *tables().items()):
        digest.update(f"{name}\0{content}\0".encode())
    digest.update(text.encode())
    version = digest.hexdigest()[:_VERSION_DIGITS]
    return PolicyBundle(version, text, document, rules, compiled(document, version, static), tables())


def packs_of(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the packs that a document names."""
    static = static_data()
    return {name: static[name] for name in document["packs"]}
