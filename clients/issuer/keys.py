"""The issuer's signing keys: the newest signs, the ones before it are published until nothing they signed can be in use."""

from __future__ import annotations

import json
import uuid
from typing import Any

from joserfc.jwk import ECKey

from clients.issuer.store import IssuerStore

# Longer than any token lives, and than the services keep keys without asking again.
PUBLISHED_S = 2 * 86_400
ALGORITHM = "ES256"


class SigningKeys:
    """The keys in the issuer's file."""

    def __init__(self, store: IssuerStore) -> None:
        self._store = store

    def ensure(self, now: float) -> None:
        """Make a first key when there is none."""
        if self._store.one("SELECT 1 FROM signing_keys") is None:
            self.rotate(now)

    def rotate(self, now: float) -> str:
        """Make a new key that signs from now on; return its ID."""
        key_id = uuid.uuid4().hex[:16]
        key = ECKey.generate_key("P-256", {"kid": key_id, "use": "sig", "alg": ALGORITHM})
        private = json.dumps(key.as_dict(private=True)).encode()
        self._store.run(
            "INSERT INTO signing_keys (key_id, sealed, public, created_at) VALUES (?, ?, ?, ?)",
            key_id, self._store.seal(private, f"signing-key {key_id}"), json.dumps(key.as_dict(private=False)), now,
        )  # fmt: skip
        return key_id

    def signing(self) -> ECKey:
        """Return the key that signs now."""
        row = self._store.one(
            "SELECT key_id, sealed FROM signing_keys ORDER BY created_at DESC, rowid DESC LIMIT 1"
        )
        if row is None:
            raise LookupError("the issuer has no signing key: run `plateward issuer rotate-key`")
        return ECKey.import_key(json.loads(self._store.unseal(row["sealed"], f"signing-key {row['key_id']}")))

    def published(self, now: float) -> dict[str, Any]:
        """Return the JWKS: the newest key, and those that were the newest within ``PUBLISHED_S``."""
        rows = self._store.all(
            "SELECT public, created_at FROM signing_keys ORDER BY created_at DESC, rowid DESC"
        )
        keys: list[Any] = []
        replaced_at = now
        for row in rows:
            if keys and now - replaced_at > PUBLISHED_S:
                break
            keys.append(json.loads(row["public"]))
            replaced_at = row["created_at"]
        return {"keys": keys}
