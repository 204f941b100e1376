"""Passkeys (WebAuthn Level 2): a key in the device or its keychain that answers to this issuer's address alone.

A passkey that has verified its user (PIN, finger, face on the device) is two factors by itself; after a password it is the second.
"""

from __future__ import annotations

import json
from typing import Any

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from clients.issuer.store import Account, IssuerStore

_REQUIRED, _PREFERRED = UserVerificationRequirement.REQUIRED, UserVerificationRequirement.PREFERRED


class Passkeys:
    """Passkeys of one issuer's address. ``origin`` is ``https://host:port``, ``host`` its name alone."""

    def __init__(self, store: IssuerStore, origin: str, host: str) -> None:
        self._store = store
        self._origin = origin
        self._host = host

    def registration(self, account: Account) -> tuple[bytes, dict[str, Any]]:
        """Return the challenge, and what the browser is asked to make a passkey with."""
        options = generate_registration_options(
            rp_id=self._host,
            rp_name="Plateward",
            user_id=account.member_id.encode(),
            user_name=account.member_id,
            user_display_name=account.name,
            exclude_credentials=self._known(account.member_id),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=_REQUIRED
            ),
        )
        return options.challenge, json.loads(options_to_json(options))

    def register(self, account: Account, challenge: bytes, credential: dict[str, Any], now: float) -> bool:
        """Keep a passkey that a browser has made; return whether it is one that answers the challenge."""
        try:
            made = verify_registration_response(
                credential=credential, expected_challenge=challenge, expected_rp_id=self._host,
                expected_origin=self._origin, require_user_verification=True,
            )  # fmt: skip
        except (WebAuthnException, ValueError, KeyError, TypeError):
            return False
        added = self._store.run(
            "INSERT INTO passkeys (credential_id, member_id, public_key, sign_count, synced, created_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (credential_id) DO NOTHING",
            made.credential_id, account.member_id, made.credential_public_key, made.sign_count,
            int(made.credential_backed_up), now,
        )  # fmt: skip
        return added == 1

    def question(self, member_id: str | None) -> tuple[bytes, dict[str, Any]]:
        """Return the challenge, and what the browser is asked to sign with; without a member any passkey of this issuer may."""
        options = generate_authentication_options(
            rp_id=self._host,
            allow_credentials=self._known(member_id) if member_id else None,
            user_verification=_PREFERRED if member_id else _REQUIRED,
        )
        return options.challenge, json.loads(options_to_json(options))

    def answered(
        self, challenge: bytes, credential: dict[str, Any], member_id: str | None
    ) -> tuple[str, tuple[str, ...]] | None:
        """Return the member and the methods (RFC 8176) that a signature proves, or None.

        With a member given, the passkey is the second factor after a password and must be that member's.
        """
        try:
            credential_id = base64url_to_bytes(str(credential["id"]))
        except (KeyError, ValueError, TypeError):
            return None
        row = self._store.one(
            "SELECT p.* FROM passkeys p JOIN accounts a USING (member_id) WHERE credential_id = ? AND disabled = 0",
            credential_id,
        )
        if row is None or (member_id is not None and row["member_id"] != member_id):
            return None
        try:
            signed = verify_authentication_response(
                credential=credential, expected_challenge=challenge, expected_rp_id=self._host,
                expected_origin=self._origin, credential_public_key=row["public_key"],
                credential_current_sign_count=row["sign_count"], require_user_verification=member_id is None,
            )  # fmt: skip
        except (WebAuthnException, ValueError, KeyError, TypeError):
            return None
        self._store.run(
            "UPDATE passkeys SET sign_count = ? WHERE credential_id = ?",
            signed.new_sign_count,
            credential_id,
        )
        held = "swk" if row["synced"] else "hwk"
        return row["member_id"], (held, "user") if signed.user_verified else (held,)

    def _known(self, member_id: str) -> list[PublicKeyCredentialDescriptor]:
        rows = self._store.all("SELECT credential_id FROM passkeys WHERE member_id = ?", member_id)
        return [PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in rows]
