"""Find the OPA server, or install a pinned version into ``.tools/opa/bin``.

Rules
-----
1. What is there is used: ``.tools/opa/bin/opa``, else ``opa`` on PATH from version 1.0 on.
2. Otherwise Go builds the pinned version; its module proxy checks the sources against the public checksum database.
3. Without Go the official release is taken, when its bytes have the SHA-256 that the release publishes beside it.
4. What was installed must run and say its version; otherwise it is removed, and a sentence says what to do by hand.

Usage: ``python tools/opa.py``; prints the path, ends with 1 when there is no OPA.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

VERSION = "v1.22.2"
RELEASES = "https://github.com/open-policy-agent/opa/releases/download"
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


def download(releases: str = RELEASES) -> str | None:
    """Take the official release for this machine; return its path, or None when there is none or its digest is wrong."""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    if machine is None or system is None:
        return None
    name = (
        f"opa_{system}_{machine}_static"
        if system == "linux" or machine == "arm64"
        else f"opa_{system}_{machine}"
    )
    address = f"{releases}/{VERSION}/{name}"
    print(f"installing OPA {VERSION} from its official release", file=sys.stderr, flush=True)
    try:
        with urllib.request.urlopen(f"{address}.sha256", timeout=60) as answer:
            published = answer.read().decode("ascii").split()[0].lower()
        with urllib.request.urlopen(address, timeout=300) as answer:
            data = answer.read()
    except (OSError, ValueError, IndexError) as error:
        print(f"the release cannot be fetched: {error}", file=sys.stderr)
        return None
    if not hmac.compare_digest(hashlib.sha256(data).hexdigest(), published):
        print(
            "the release does not have the SHA-256 that is published for it: not installed", file=sys.stderr
        )
        return None
    BIN.mkdir(parents=True, exist_ok=True)
    target = BIN / "opa"
    target.write_bytes(data)
    target.chmod(0o755)
    if not _usable(str(target)):
        target.unlink()
        return None
    return str(target)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    path = find() or install() or download()
    if path is None:
        print(
            f"OPA {VERSION} is not here and could not be installed. Install Go and try again, or put OPA on PATH by hand. "
            "The platform decides in process without it; the conformance tests are skipped outside of CI.",
            file=sys.stderr,
        )
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
