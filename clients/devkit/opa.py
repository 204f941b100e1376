"""The OPA server of the embedded stack: where its binary is, and the configuration by which it takes signed policy only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clients.devkit.pki import write_private

INSTALLED = Path(__file__).resolve().parents[2] / ".tools" / "opa" / "bin" / "opa"


def find_opa() -> Path | None:
    """Return the path of an OPA binary, or None when the in-process engine has to do."""
    if INSTALLED.is_file():
        return INSTALLED
    found = shutil.which("opa")
    return Path(found) if found else None


def write_config(folder: Path, bundles: str) -> Path:
    """Make the key that signs policy where it is missing, and OPA's configuration with its public half; return the latter's path.

    ``bundles`` is the address at which `access` serves its signed bundle.
    """
    key_file, config = folder / "policy-signing.pem", folder / "opa.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not key_file.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        write_private(
            key_file,
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    bundle = {
        "service": "access",
        "resource": "bundles/plateward.tar.gz",
        "signing": {"keyid": "plateward", "scope": "write"},
        "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1, "long_polling_timeout_seconds": 30},
    }
    whole = {
        "services": {"access": {"url": f"http://{bundles}"}},
        "keys": {"plateward": {"algorithm": "ES256", "key": public.decode("ascii")}},
        "bundles": {"plateward": bundle},
    }
    config.write_text(json.dumps(whole, indent=2), encoding="utf-8")
    return config
