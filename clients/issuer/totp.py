"""One-time codes of an authenticator (TOTP, RFC 6238): six digits, thirty seconds, each used once."""

from __future__ import annotations

import hmac

import pyotp

from clients.issuer.store import Account, IssuerStore

STEP_S = 30
_DRIFT_STEPS = 1
_ISSUER = "Plateward"


class Totp:
    """Secrets of authenticators, sealed in the issuer's file."""

    def __init__(self, store: IssuerStore) -> None:
        self._store = store

    @staticmethod
    def new_secret() -> str:
        """Return a new secret (160 bits, base32)."""
        return pyotp.random_base32(32)

    @staticmethod
    def uri(account: Account, secret: str) -> str:
        """Return what an authenticator takes as a link or QR code."""
        return pyotp.TOTP(secret).provisioning_uri(name=account.member_id, issuer_name=_ISSUER)

    def set(self, account: Account, secret: str, code: str, now: float) -> bool:
        """Keep a secret once a code of it shows that the authenticator has it; return whether it did."""
        step = _step_of(secret, code, now, 0)
        if step is None:
            return False
        self._store.run(
            "UPDATE accounts SET totp_sealed = ?, totp_step = ? WHERE member_id = ?",
            self._store.seal(secret.encode(), f"totp {account.member_id}"), step, account.member_id,
        )  # fmt: skip
        return True

    def accepts(self, member_id: str, code: str, now: float) -> bool:
        """Return whether a code is right and was not used before; it cannot be used again."""
        with self._store.at_once():
            row = self._store.one(
                "SELECT totp_sealed, totp_step FROM accounts WHERE member_id = ? AND disabled = 0", member_id
            )
            if row is None or not row["totp_sealed"]:
                return False
            secret = self._store.unseal(row["totp_sealed"], f"totp {member_id}").decode()
            step = _step_of(secret, code, now, row["totp_step"])
            if step is None:
                return False
            self._store.run("UPDATE accounts SET totp_step = ? WHERE member_id = ?", step, member_id)
        return True


def _step_of(secret: str, code: str, now: float, after: int) -> int | None:
    """Return the step that a code is of, later than ``after``; None when it is of none."""
    totp, current, code = pyotp.TOTP(secret), int(now) // STEP_S, code.strip().replace(" ", "")
    found = None
    for step in range(current - _DRIFT_STEPS, current + _DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.at(step * STEP_S).encode(), code.encode()) and step > after:
            found = step
    return found
