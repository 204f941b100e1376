"""Refuse modules that have grown too long and text that must not be committed.

Rules
-----
1. No Python module beyond 500 lines (generated stubs aside).
2. No committed text names a package registry's host.

Usage: ``python tools/shape.py``
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 500
REGISTRY = re.compile(
    r"(?:pypi\.org|pythonhosted\.org|registry\.npmjs|proxy\.golang|crates\.io/api)", re.IGNORECASE
)


def main() -> int:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    faults = []
    for name in filter(None, names):
        path = ROOT / name
        if not path.is_file() or name == "tools/shape.py":
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if name.endswith(".py") and not name.startswith("gen/") and text.count("\n") > MOST_LINES:
            faults.append(f"{name}: {text.count(chr(10))} lines, more than {MOST_LINES}: split it by concern")
        if found := REGISTRY.search(text):
            faults.append(
                f"{name}: names a registry's host ({found.group()}): leave that to the installer's configuration"
            )
    print(*faults, sep="\n") if faults else print(
        f"shape: {len(names) - 1} files, none too long, none naming a registry"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
