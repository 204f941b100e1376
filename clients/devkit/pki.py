"""A development PKI: one authority, the services' certificates, clients of every kind, and one client nobody knows.

Files that are there and not near their end are kept.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TRUST_DOMAIN = "plateward.local"
SERVICES = ("audit", "access", "reads", "hotlist", "recognizer")
CLIENTS: Mapping[str, str] = {
    "gateway": "agency/elk-grove-pd/gateway/laguna",
    "portal": "agency/elk-grove-pd/portal/front-desk",
    "galt-pd": "agency/galt-pd/partner/rms",
    "reno-pd": "agency/reno-pd/partner/rms",
    "ice-ero": "agency/ice-ero/partner/query",
    "operator": "operator/on-call",
    "witness": "witness/newspaper",
}
UNKNOWN = "unknown"
ISSUER = "issuer"
_LIFETIME = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=30)

_Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


class DevelopmentPki:
    """The PKI of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def ca(self) -> Path:
        """Certificate of the authority."""
        return self._folder / "ca.pem"

    def cert(self, name: str) -> Path:
        """Certificate of a service or client."""
        return self._folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Private key of a service or client."""
        return self._folder / f"{name}.key"

    def ensure(self) -> None:
        """Make what is missing or near its end."""
        self._folder.mkdir(parents=True, exist_ok=True)
        authority = self._authority("ca", "Plateward development authority")
        for name in SERVICES:
            self._leaf(name, f"service/{name}", authority)
        for name, path in CLIENTS.items():
            self._leaf(name, path, authority)
        # For HTTPS only: its name is no caller of any service.
        self._leaf(ISSUER, f"issuer/{ISSUER}", authority)
        self._leaf(UNKNOWN, CLIENTS["portal"], self._authority("foreign-ca", "Somebody else's authority"))

    def renew(self, name: str) -> None:
        """Make a new certificate for a service."""
        self.cert(name).unlink()
        self.ensure()

    def _authority(self, name: str, title: str) -> _Pair:
        if kept := self._kept(name):
            return kept
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
        builder = self._builder(subject, subject, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        certificate = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).sign(key, hashes.SHA256())
        self._write(name, key, certificate)
        return key, certificate

    def _leaf(self, name: str, path: str, authority: _Pair) -> None:
        if (kept := self._kept(name)) and kept[1].issuer == authority[1].subject:
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/{path}"),
        ]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            self._builder(subject, authority[1].subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(authority[0], hashes.SHA256())
        )
        self._write(name, key, certificate)

    @staticmethod
    def _builder(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + _LIFETIME)
        )

    def _kept(self, name: str) -> _Pair | None:
        try:
            certificate = x509.load_pem_x509_certificate(self.cert(name).read_bytes())
            key = serialization.load_pem_private_key(self.key(name).read_bytes(), None)
        except (OSError, ValueError):
            return None
        if certificate.not_valid_after_utc - datetime.now(UTC) < _RENEW_BEFORE or not isinstance(
            key, ec.EllipticCurvePrivateKey
        ):
            return None
        return key, certificate

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(self.key(name), pem)
        self.cert(name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
