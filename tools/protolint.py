"""Lint the protos and refuse breaking changes, offline, with buf.

Rules
-----
1. ``buf lint`` runs on the descriptor set that protoc builds: imports come from wheels, not from a registry.
2. ``buf breaking`` compares with ``proto/baseline.binpb``, the API that clients may rely on.
3. The baseline moves only by ``--accept``, in a commit that says why; an additive change never needs it.

Usage: ``python tools/protolint.py [--accept]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import protogen
from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "proto" / "baseline.binpb"


def _buf(*arguments: str | Path) -> int:
    tool = Path(sys.executable).parent / "buf"
    return subprocess.run(
        [tool, *arguments, "--config", ROOT / "buf.yaml", "--path", "plateward"], check=False
    ).returncode


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--accept", action="store_true", help="make the API as it is now the one to compare with"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        now = Path(scratch) / "now.binpb"
        stubs = Path(scratch) / "stubs"
        stubs.mkdir()
        protogen.generate(stubs, image=now)
        if code := _buf("lint", now):
            return code
        if args.accept:
            files = descriptor_pb2.FileDescriptorSet.FromString(now.read_bytes())
            for file in files.file:
                file.ClearField("source_code_info")
            BASELINE.write_bytes(files.SerializeToString(deterministic=True))
            print(f"accepted: {BASELINE.relative_to(ROOT)} is the API as it is now")
            return 0
        if code := _buf("breaking", now, "--against", BASELINE):
            print("the API breaks its clients: make the change additive, or see rule 3 in tools/protolint.py")
            return code
    print("buf lint, buf breaking: clean")
    return 0


if __name__ == "__main__":
    sys.exit(main())
