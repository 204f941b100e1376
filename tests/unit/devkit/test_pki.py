"""The development PKI: who is who, what is kept, what nobody else may read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from clients.devkit import pki as module
from clients.devkit.pki import CLIENTS, SERVICES, UNKNOWN, DevelopmentPki


@pytest.fixture
def pki(tmp_path: Path) -> DevelopmentPki:
    made = DevelopmentPki(tmp_path / "pki")
    made.ensure()
    return made


def certificate(pki: DevelopmentPki, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.cert(name).read_bytes())


def names(found: x509.Certificate) -> x509.SubjectAlternativeName:
    return found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.mark.req("R-SHR-1")
def test_every_certificate_names_its_workload_and_comes_from_the_authority(pki: DevelopmentPki) -> None:
    authority = x509.load_pem_x509_certificate(pki.ca.read_bytes())
    for name, path in {**{s: f"service/{s}" for s in SERVICES}, **CLIENTS}.items():
        found = certificate(pki, name)
        found.verify_directly_issued_by(authority)
        assert names(found).get_values_for_type(x509.UniformResourceIdentifier) == [
            f"spiffe://plateward.local/{path}"
        ]
        assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert isinstance(found.public_key(), ec.EllipticCurvePublicKey)


def test_services_can_be_reached_on_this_machine(pki: DevelopmentPki) -> None:
    for name in SERVICES:
        found = names(certificate(pki, name))
        assert found.get_values_for_type(x509.DNSName) == ["localhost"]
        assert [str(a) for a in found.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


@pytest.mark.req("R-SHR-1")
def test_the_unknown_client_claims_to_be_known_and_is_not(pki: DevelopmentPki) -> None:
    """Same name as the portal, another authority: only the signature tells."""
    authority = x509.load_pem_x509_certificate(pki.ca.read_bytes())
    unknown = certificate(pki, UNKNOWN)
    assert names(unknown) == names(certificate(pki, "portal"))
    with pytest.raises(ValueError, match=r"(?i)issuer"):
        unknown.verify_directly_issued_by(authority)


def test_keys_are_for_their_owner_alone(pki: DevelopmentPki, tmp_path: Path) -> None:
    keys = list((tmp_path / "pki").glob("*.key"))
    assert len(keys) == len(SERVICES) + len(CLIENTS) + 4
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)


def test_what_is_there_is_kept_and_what_is_missing_is_made(pki: DevelopmentPki) -> None:
    before = {name: pki.cert(name).read_bytes() for name in (*SERVICES, *CLIENTS)}
    pki.cert("portal").unlink()
    pki.key("gateway").write_text("damaged")
    pki.ensure()
    after = {name: pki.cert(name).read_bytes() for name in before}
    assert {name for name in before if before[name] != after[name]} == {"portal", "gateway"}


def test_what_is_near_its_end_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pki = DevelopmentPki(tmp_path)
    monkeypatch.setattr(module, "_LIFETIME", timedelta(days=20))
    pki.ensure()
    old = certificate(pki, "reads")
    monkeypatch.undo()
    pki.ensure()
    new = certificate(pki, "reads")
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)
    new.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.ca.read_bytes()))
