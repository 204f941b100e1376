"""Lint the protos and refuse breaking changes, offline, with buf.

Rules
-----
1. ``buf lint`` runs on the descriptor set that protoc builds (imports come from wheels, not from a registry).
2. ``buf breaking`` compares with the API of the last commit on ``main`` that is not this one: what clients may rely on.

Usage: ``python tools/protolint.py [--against REF]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import protogen

ROOT = Path(__file__).resolve().parent.parent
BUF = Path(sys.executable).parent / "buf"


def _image(root: Path, out: Path) -> None:
    protogen.PROTO = root
    with tempfile.TemporaryDirectory() as scratch:
        protogen.generate(Path(scratch), image=out)


def _base(ref: str | None) -> str | None:
    """Return the commit to compare with, or None in a repository without an earlier one."""
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", ref or "HEAD~1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default=os.environ.get("PLATEWARD_API_BASE"), help="commit to compare with (default: HEAD~1)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        now = Path(scratch) / "now.binpb"
        _image(ROOT / "proto", now)
        lint = subprocess.run([BUF, "lint", now, "--config", ROOT / "buf.yaml", "--path", "plateward"], check=False)
        if lint.returncode:
            return lint.returncode
        base = _base(args.against)
        if base is None:
            print("buf lint: clean; no earlier commit to compare with")
            return 0
        archive = subprocess.run(["git", "archive", base, "proto"], cwd=ROOT, capture_output=True, check=True)
        before = Path(scratch) / "before"
        before.mkdir()
        subprocess.run(["tar", "-x", "-C", before], input=archive.stdout, check=True)
        old = Path(scratch) / "old.binpb"
        _image(before / "proto", old)
        breaking = subprocess.run(
            [BUF, "breaking", now, "--against", old, "--config", ROOT / "buf.yaml", "--path", "plateward"], check=False
        )
        if breaking.returncode == 0:
            print(f"buf lint and buf breaking (against {base[:12]}): clean")
        return breaking.returncode


if __name__ == "__main__":
    sys.exit(main())
