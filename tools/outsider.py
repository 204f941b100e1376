"""Build Tessera's ``fsck`` into ``.tools/``: a verifier of tile logs that nobody here wrote, for the test that it accepts ours.

Usage: ``python tools/outsider.py``; needs Go, ends with 1 (and a sentence) where it cannot be built: the test then skips.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

MODULE = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
PROGRAM = Path(__file__).resolve().parent.parent / ".tools" / "tessera-fsck"


def main() -> int:
    if PROGRAM.exists():
        return 0
    go = shutil.which("go")
    if go is None:
        print("Tessera's fsck is not built: install Go 1.24 or later, then `make outsider`", file=sys.stderr)
        return 1
    folder = PROGRAM.parent / "build"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [go, "install", MODULE], env={**os.environ, "GOBIN": str(folder)}, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode != 0:
        print(f"Tessera's fsck cannot be built: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return 1
    (folder / "fsck").rename(PROGRAM)
    return 0


if __name__ == "__main__":
    sys.exit(main())
