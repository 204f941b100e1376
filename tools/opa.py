"""Find the OPA server, or install a pinned version into ``.tools/opa/bin``.

Rules
-----
1. What is there is used: ``.tools/opa/bin/opa``, else ``opa`` on PATH from version 1.0 on.
2. Otherwise Go builds the pinned version; its module proxy checks the sources against the public checksum database.
3. Without Go nothing is downloaded blindly: the sentence says how to install OPA by hand.

Usage: ``python tools/opa.py``; prints the path, ends with 1 when there is no OPA.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "v1.22.2"
BIN = Path(__file__).resolve().parent.parent / ".tools" / "opa" / "bin"


def _usable(path: str | None) -> bool:
    """Return whether a binary is an OPA of version 1 or later."""
    if not path:
        return False
    try:
        said = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.search(r"^Version: (\d+)\.", said, re.MULTILINE)
    return bool(found and int(found[1]) >= 1)


def find() -> str | None:
    """Return the path of a usable OPA, or None."""
    return next(
        (p for p in (str(BIN / "opa"), shutil.which("opa")) if p and Path(p).exists() and _usable(p)), None
    )


def install() -> str | None:
    """Build the pinned version with Go; return its path, or None without Go or when the build fails."""
    go = shutil.which("go")
    if go is None:
        return None
    print(f"installing OPA {VERSION} with Go, about a minute", file=sys.stderr, flush=True)
    BIN.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [go, "install", f"github.com/open-policy-agent/opa@{VERSION}"],
        env={**os.environ, "GOBIN": str(BIN), "GOFLAGS": "-mod=mod"}, cwd=BIN, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return find()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    path = find() or install()
    if path is None:
        print(
            f"OPA is not here and Go is not here to build it. Install Go, or put OPA {VERSION} from its official release page "
            "on PATH (check its published SHA-256). The platform decides in process without it.",
            file=sys.stderr,
        )
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
