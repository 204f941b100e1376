"""Compile the hashed lock files in ``requirements/`` from ``pyproject.toml``.

Rules
-----
1. Every package is pinned with its SHA-256 digests; installation uses ``--require-hashes``.
2. No lock file names a registry's host: where packages come from is the installer's configuration.
3. Extras stay in the pins: older pips refuse a hashed `package` where another package asks for `package[extra]`.
4. ``dev.txt`` is constrained by ``runtime.txt``: tests run what users run.

Usage: ``python tools/lock.py`` (needs ``uv`` on PATH).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "requirements"
COMMON = ["uv", "pip", "compile", "--quiet", "--generate-hashes", "--universal", "--python-version", "3.11",
          "--no-emit-index-url", "--no-header", "--no-strip-extras", "pyproject.toml"]  # fmt: skip


def compile_lock(target: str, *arguments: str) -> None:
    """Write one lock file; raise ``SystemExit`` when it would name a host."""
    path = OUT / target
    subprocess.run([*COMMON, *arguments, "-o", str(path)], cwd=ROOT, check=True)
    host = re.search(r"https?://\S+", path.read_text(encoding="utf-8"))
    if host:
        raise SystemExit(f"{path.name} names a host ({host.group()}): unset index options and compile again")


def main() -> int:
    compile_lock("runtime.txt", "--group", "build")
    compile_lock(
        "dev.txt", "--group", "build", "--group", "dev", "--group", "gen", "-c", str(OUT / "runtime.txt")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
