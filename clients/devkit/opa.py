"""Where the OPA binary is, for the embedded stack: on PATH, or where ``make opa`` puts it."""

from __future__ import annotations

import shutil
from pathlib import Path

INSTALLED = Path(__file__).resolve().parents[2] / ".tools" / "opa" / "bin" / "opa"


def find_opa() -> Path | None:
    """Return the path of an OPA binary, or None when the in-process engine has to do."""
    if INSTALLED.is_file():
        return INSTALLED
    found = shutil.which("opa")
    return Path(found) if found else None
