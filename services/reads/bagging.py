"""A BagIt bag (RFC 8493, version 1.0) around a folder, with SHA-256 manifests of the payload and of the tag files.

Written here and validated by the ``bagit`` library before it is used: the library itself writes version 0.97, and changes the
working folder of the whole process while it does, which two exports at once would not survive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import bagit

VERSION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
_CHUNK = 1 << 20


def make_bag(folder: Path, info: Mapping[str, str]) -> bytes:
    """Make a folder's content the payload of a bag in its place; return the SHA-256 of the tag manifest (32 bytes).

    ``info`` is what ``bag-info.txt`` says, a line each. Names of files must hold no line break and no per cent sign.

    Raises:
        bagit.BagError: the bag does not validate.
    """
    inside = sorted(folder.iterdir())
    payload = folder / "data"
    payload.mkdir()
    for path in inside:
        path.rename(payload / path.name)
    files = sorted(path for path in payload.rglob("*") if path.is_file())
    _write(folder / MANIFEST, _lines(folder, files))
    oxum = f"{sum(path.stat().st_size for path in files)}.{len(files)}"
    told = {**info, "Payload-Oxum": oxum}
    _write(folder / "bag-info.txt", "".join(f"{name}: {text}\n" for name, text in sorted(told.items())))
    _write(folder / "bagit.txt", VERSION)
    tags = [folder / name for name in ("bag-info.txt", "bagit.txt", MANIFEST)]
    _write(folder / TAG_MANIFEST, _lines(folder, tags))
    bagit.Bag(str(folder)).validate()
    return hashlib.sha256((folder / TAG_MANIFEST).read_bytes()).digest()


def _lines(folder: Path, files: list[Path]) -> str:
    return "".join(f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
