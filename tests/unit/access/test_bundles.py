"""Signed bundles: what was signed is what decides."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.access.bundles import BundleError, load_or_create_signing_key, pack, public_pem, unpack
from services.access.policy import load_bundle, sample_document

KEY = ec.generate_private_key(ec.SECP256R1())
BUNDLE = load_bundle(sample_document("elk-grove-pd"))
PACKED = pack(BUNDLE, KEY)


def repacked(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The bundle with its files changed, the signature as it was."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(PACKED))) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    change(files)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(raw.getvalue())


def test_a_bundle_comes_back_as_it_went() -> None:
    back = unpack(PACKED, KEY)
    assert back == BUNDLE
    assert back.kept["read"].seconds == 30 * 86_400


@pytest.mark.req("R-ACC-9")
@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.update({"data.json": f["data.json"].replace(b'"immigration-enforcement"', b'"nothing"')}),
        lambda f: f.update({"plateward/main.rego": f["plateward/main.rego"] + b"\n# more\n"}),
        lambda f: f.update({"policy.yaml": f["policy.yaml"].replace(b"days: 30", b"days: 3650")}),
        lambda f: f.update({"plateward/open.rego": b"package plateward.open\n"}),
        lambda f: f.pop("plateward/jurisdictions/ca.rego"),
        lambda f: f.pop(".signatures.json"),
        lambda f: f.update({".signatures.json": b"{}"}),
        lambda f: f.update({".signatures.json": b"[]"}),
    ],
)
def test_what_was_changed_after_signing_is_refused(change: Callable[[dict[str, bytes]], None]) -> None:
    with pytest.raises(BundleError):
        unpack(repacked(change), KEY)


def test_another_keys_bundle_and_no_bundle_are_refused() -> None:
    with pytest.raises(BundleError, match="signature"):
        unpack(PACKED, ec.generate_private_key(ec.SECP256R1()))
    for junk in (b"", b"junk", gzip.compress(b"junk"), gzip.compress(b"")):
        with pytest.raises(BundleError):
            unpack(junk, KEY)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "signing.pem"
    made = load_or_create_signing_key(file)
    assert public_pem(made) == public_pem(load_or_create_signing_key(file))
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"no key")
    with pytest.raises(ValueError, match=r"PEM|key"):
        load_or_create_signing_key(file)
