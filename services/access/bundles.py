"""Signed bundles, as the OPA server loads them: a gzipped tar with rules, data, document, manifest and signature.

Rules
-----
1. Every file but the signature is in the signature (OPA, "Bundle signature format"): a bundle with a file more, a file
   less or a byte changed is refused, by OPA and here.
2. The signature is ES256 (RFC 7518) over the SHA-256 of each file; JSON files are hashed in their canonical form.
3. The same version gives the same files, byte by byte.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from servicekit.crypto import write_new
from services.access.policy import PolicyBundle, parse

KEY_ID = "plateward"
SIGNATURES = ".signatures.json"
MANIFEST = ".manifest"
DATA = "data.json"
DOCUMENT = "policy.yaml"
ALGORITHM = "ES256"
_ROOTS = ["plateward", "policy"]
_MOST_BYTES = 16 * 1024 * 1024


class BundleError(Exception):
    """The bundle is not what was signed; the message says what differs."""


def load_or_create_signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of a PEM file; make it, readable by its owner only, when it is missing.

    Raises:
        ValueError: the file holds no such key.
    """
    made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_new(path, made)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ValueError(f"{path.name} must hold an EC key on P-256 (PEM): take it from your key backup")
    return key


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public half, as OPA's configuration takes it."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii")
    )


def pack(bundle: PolicyBundle, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a version as a signed bundle."""
    manifest = {
        "revision": bundle.version,
        "roots": _ROOTS,
        "rego_version": 1,
        "metadata": {"agency": bundle.document["agency"]},
    }
    files = {f"plateward/{name}": text.encode() for name, text in bundle.rules.items()}
    files |= {f"plateward/{name}": text.encode() for name, text in bundle.tables.items()}
    files[DOCUMENT] = bundle.text.encode()
    files[DATA] = _json({"policy": bundle.data})
    files[MANIFEST] = _json(manifest)
    claims = {
        "files": [
            {"name": name, "hash": _hash(name, data), "algorithm": "SHA-256"}
            for name, data in sorted(files.items())
        ],
        "scope": "write",
        "keyid": KEY_ID,
    }
    token = jws.serialize_compact(
        {"alg": ALGORITHM, "kid": KEY_ID}, _json(claims), _private(key), algorithms=[ALGORITHM]
    )
    files[SIGNATURES] = _json({"signatures": [token]})
    return _archive(files)


def unpack(data: bytes, key: ec.EllipticCurvePrivateKey) -> PolicyBundle:
    """Return the version in a signed bundle.

    Raises:
        BundleError: it is no bundle, its signature is not of this key, or a file is not the one that was signed.
    """
    files = _files(data)
    try:
        token = json.loads(files.pop(SIGNATURES))["signatures"][0]
        signed = jws.deserialize_compact(token, _private(key), algorithms=[ALGORITHM])
        listed = {f["name"]: f["hash"] for f in json.loads(signed.payload)["files"]}
    except (KeyError, IndexError, TypeError, ValueError, JoseError) as error:
        raise BundleError("the bundle's signature is missing or not of this installation's key") from error
    if listed.keys() != files.keys():
        raise BundleError(
            f"not the files that were signed: {', '.join(sorted(listed.keys() ^ files.keys()))}"
        )
    for name, content in files.items():
        if not hmac.compare_digest(listed[name], _hash(name, content)):
            raise BundleError(f"{name} is not the file that was signed")
    text = files[DOCUMENT].decode()
    policy = json.loads(files[DATA])["policy"]
    rules = {n.removeprefix("plateward/"): c.decode() for n, c in files.items() if n.endswith(".rego")}
    tables = {
        n.removeprefix("plateward/"): c.decode()
        for n, c in files.items()
        if n.startswith("plateward/tables/")
    }
    return PolicyBundle(json.loads(files[MANIFEST])["revision"], text, parse(text), rules, policy, tables)


def _private(key: ec.EllipticCurvePrivateKey) -> ECKey:
    return ECKey.import_key(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _hash(name: str, data: bytes) -> str:
    structured = name in {DATA, MANIFEST}
    return hashlib.sha256(_json(json.loads(data)) if structured else data).hexdigest()


def _archive(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def _files(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with gzip.open(io.BytesIO(data)) as packed:
            raw = packed.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise BundleError("the bundle is larger than any policy")
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                if content is None or entry.name in found:
                    raise BundleError(f"{entry.name} is no plain file, or stands twice")
                found[entry.name] = content.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BundleError("this is no bundle: a gzipped tar is expected") from error
    return found
