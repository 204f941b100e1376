"""Sessions and the tokens that they give out.

Rules
-----
1. An access token lives for ten minutes; what goes on longer is refreshed.
2. A session that was not used for thirty minutes is over, and so is one of twelve hours (CJIS Security Policy AC-11, AC-12).
3. A refresh token is used once. One that comes a second time was stolen from somebody: its session ends.
4. Tokens say which factors were used, when the member signed in, and for which agency.
"""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from joserfc import jwt

from clients.issuer.flows import Asked
from clients.issuer.keys import ALGORITHM, SigningKeys
from clients.issuer.store import Account, IssuerStore, Session, token_hash

AUDIENCE = "plateward"
TOKEN_S = 600
IDLE_S = 30 * 60.0
LONGEST_S = 12 * 3600.0


class Grants:
    """Opens sessions and gives out tokens in their name."""

    def __init__(self, store: IssuerStore, keys: SigningKeys, issuer: str) -> None:
        self._store = store
        self._keys = keys
        self._issuer = issuer

    def open(self, member_id: str, amr: tuple[str, ...], now: float) -> str:
        """Begin a session; return its token, of which only the hash is kept."""
        token = secrets.token_urlsafe(32)
        self._store.run(
            "INSERT INTO sessions (session_hash, member_id, amr, signed_in_at, last_used_at) VALUES (?, ?, ?, ?, ?)",
            token_hash(token), member_id, " ".join(dict.fromkeys(amr)), now, now,
        )  # fmt: skip
        return token

    def used(self, session: bytes, now: float) -> Session | None:
        """Return a session that is used now, or None when it is over by rule 2."""
        with self._store.at_once():
            found = self._store.session(session)
            if found is None:
                return None
            if now - found.last_used_at > IDLE_S or now - found.signed_in_at > LONGEST_S:
                self._store.end_session(session)
                return None
            self._store.run("UPDATE sessions SET last_used_at = ? WHERE session_hash = ?", now, session)
        return found

    def tokens(self, session: Session, asked: Asked, now: float) -> dict[str, Any] | None:
        """Return the first tokens of a session for a client, or None when its account is gone."""
        account = self._store.account(session.member_id)
        return None if account is None else self._answer(account, session, asked.client_id, asked.nonce, now)

    def refreshed(self, refresh_token: str, client_id: str, now: float) -> dict[str, Any] | None:
        """Return new tokens for a refresh token, or None when it counts for nothing."""
        hashed = token_hash(refresh_token)
        with self._store.at_once():
            row = self._store.one("SELECT * FROM refresh_tokens WHERE token_hash = ?", hashed)
            if row is None or row["client_id"] != client_id:
                return None
            if row["used"]:
                self._store.end_session(row["session_hash"])
                return None
            self._store.run("UPDATE refresh_tokens SET used = 1 WHERE token_hash = ?", hashed)
        session = self.used(row["session_hash"], now)
        account = self._store.account(session.member_id) if session is not None else None
        if session is None or account is None:
            return None
        return self._answer(account, session, client_id, "", now)

    def end(self, refresh_token: str) -> None:
        """End the session of a refresh token; one that is not known ends nothing (RFC 7009)."""
        row = self._store.one(
            "SELECT session_hash FROM refresh_tokens WHERE token_hash = ?", token_hash(refresh_token)
        )
        if row is not None:
            self._store.end_session(row["session_hash"])

    def _answer(
        self, account: Account, session: Session, client_id: str, nonce: str, now: float
    ) -> dict[str, Any]:
        refresh = secrets.token_urlsafe(32)
        self._store.run(
            "INSERT INTO refresh_tokens (token_hash, session_hash, client_id) VALUES (?, ?, ?)",
            token_hash(refresh), session.session_hash, client_id,
        )  # fmt: skip
        common = {
            "iss": self._issuer, "sub": account.member_id, "name": account.name, "agency": account.agency_id,
            "amr": list(session.amr), "auth_time": int(session.signed_in_at), "iat": int(now), "exp": int(now) + TOKEN_S,
        }  # fmt: skip
        if account.federal:
            common["federal_task_force"] = True
        access = self._signed(common | {"aud": AUDIENCE, "jti": str(uuid.uuid4())}, "at+jwt")
        identity = common | {"aud": client_id} | ({"nonce": nonce} if nonce else {})
        return {
            "access_token": access, "token_type": "Bearer", "expires_in": TOKEN_S, "refresh_token": refresh,
            "id_token": self._signed(identity, "JWT"), "scope": "openid",
        }  # fmt: skip

    def _signed(self, claims: dict[str, Any], kind: str) -> str:
        key = self._keys.signing()
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": kind}, claims, key)
