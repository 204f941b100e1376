"""The bag of an evidence package: opened so that nothing in it reaches outside, and each file compared with its manifests.

Faults name the file, what is wrong with it and what to do. The ``bagit`` library has the last word on the whole; it stops at
the first count that differs, and would not say which file it is.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import bagit

from clients.cli.audit_verdict import Verdict

SIGNATURE = "signature.note"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
AGAIN = "do not use this package, and ask the agency for it again"
_MOST_FAULTS = 10
_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?(\S.*)")
_UNSAFE = re.compile(r"^([/~\\]|[A-Za-z]:)|\\|(^|/)\.\.(/|$)|[\x00-\x1f]")


class PackageError(Exception):
    """A package cannot even be opened; the message says why and what to do."""


@contextmanager
def opened(package: Path) -> Iterator[Path]:
    """Give the folder of the bag; a tar is unpacked aside, and nothing in it can reach outside.

    Raises:
        PackageError: it is no package, it is cut off, or a name in it leads out of it.
    """
    if package.is_dir():
        yield package
        return
    with TemporaryDirectory(prefix="plateward-verify-") as folder:
        try:
            with tarfile.open(package) as archive:
                members = archive.getmembers()
                _safe(package, members)
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise PackageError(
                f"{package.name} is cut off or is no tar ({error}): copy it again and compare its size; else ask the agency for it again"
            ) from error
        inside = [path for path in Path(folder).iterdir() if path.is_dir()]
        if len(inside) != 1:
            raise PackageError(
                f"{package.name} holds {len(inside)} folders, and a package has one: it is cut off, or no package; ask the agency for it again"
            )
        yield inside[0]


def check_bag(bag: Path, verdict: Verdict) -> None:
    """Compare each file with the manifests, and let the BagIt library validate the bag."""
    what = "BagIt manifests (SHA-256)"
    faults = list(_faults(bag))
    for fault in faults[:_MOST_FAULTS]:
        verdict.add(what, False, f"{fault}: {AGAIN}")
    if len(faults) > _MOST_FAULTS:
        verdict.add(what, False, f"and {len(faults) - _MOST_FAULTS} more such files")
    if faults:
        return
    try:
        bagit.Bag(str(bag)).validate()
    except bagit.BagError as error:
        verdict.add(what, False, f"{' '.join(str(error).split())}: {AGAIN}")
    else:
        files = sum(1 for path in (bag / "data").rglob("*") if path.is_file())
        verdict.add(what, True, f"{files} files are as they were packed")


def _safe(package: Path, members: list[tarfile.TarInfo]) -> None:
    """Refuse a tar of which a member leads out of it, is no plain file, or comes twice."""
    names: set[str] = set()
    for member in members:
        fault = ""
        if _UNSAFE.search(member.name):
            fault = "leads out of the package"
        elif not (member.isreg() or member.isdir()):
            fault = "is a link or a device, and a package has plain files only"
        elif member.name in names:
            fault = "comes twice"
        if fault:
            raise PackageError(f"{member.name!r} in {package.name} {fault}: nothing was unpacked; {AGAIN}")
        names.add(member.name)


def _faults(bag: Path) -> Iterator[str]:
    there: dict[str, str] = {}
    for path in sorted(bag.rglob("*")):
        name = path.relative_to(bag).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            yield f"{name} is a link or a device, and a package has plain files only"
        elif path.is_file():
            there[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    listed: dict[str, str] = {}
    for manifest in (MANIFEST, TAG_MANIFEST):
        if manifest in there:
            yield from _listed(manifest, (bag / manifest).read_text(encoding="utf-8"), listed)
        else:
            yield f"{manifest} is missing"
    known = {digest: name for name, digest in listed.items()}
    for name, digest in sorted(listed.items()):
        if name not in there:
            yield f"{name} is missing"
        elif there[name] != digest:
            other = known.get(there[name])
            yield f"{name} was exchanged for {other}" if other else f"{name} was altered after it was packed"
    for name in sorted(there.keys() - listed.keys() - {SIGNATURE, TAG_MANIFEST}):
        yield f"{name} was added after the package was made"


def _listed(manifest: str, text: str, listed: dict[str, str]) -> Iterator[str]:
    """Add what a manifest lists, name to digest; yield what is wrong with it."""
    for line in text.splitlines():
        matched = _LINE.fullmatch(line.strip())
        if matched is None:
            yield f"{manifest} has a line that is none: {line[:80]!r}"
            continue
        digest, name = matched[1].lower(), matched[2]
        if _UNSAFE.search(name):
            yield f"{name!r} in {manifest} leads out of the package"
        elif (PurePosixPath(name).parts[0] == "data") != (manifest == MANIFEST):
            yield f"{name} does not belong into {manifest}"
        elif listed.setdefault(name, digest) != digest:
            yield f"{name} stands in {manifest} twice"
