"""A development issuer of member tokens: one key, a JWKS file, and good and bad tokens on demand."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from clients.devkit.pki import write_private

ISSUER = "https://issuer.plateward.local"
AUDIENCE = "plateward"
# Members of the demo: ID → (name, agency).
MEMBERS: Mapping[str, tuple[str, str]] = {
    "m-1042": ("Ofc. Dana Reyes", "elk-grove-pd"),
    "m-1077": ("Sgt. Priya Nair", "elk-grove-pd"),
    "m-1099": ("Ofc. Tom Hale", "elk-grove-pd"),
    "m-2001": ("A. Kim", "elk-grove-pd"),
    "m-3001": ("J. Ortiz", "elk-grove-pd"),
    "m-4001": ("Lt. Rosa Vega", "elk-grove-pd"),
    "galt-1": ("Det. Sam Lowe", "galt-pd"),
    "reno-7": ("Det. Pat Quinn", "reno-pd"),
    "ice-1": ("Ofc. Lee Grant", "ice-ero"),
}


class DevelopmentIssuer:
    """The issuer of one folder."""

    def __init__(self, folder: Path) -> None:
        self._key_file = folder / "issuer.key.json"
        self.jwks = folder / "issuer.jwks.json"

    def ensure(self) -> None:
        """Make key and JWKS when they are missing."""
        if self._key_file.exists() and self.jwks.exists():
            return
        self._key_file.parent.mkdir(parents=True, exist_ok=True)
        key = ECKey.generate_key("P-256", {"kid": uuid.uuid4().hex[:8], "use": "sig", "alg": "ES256"})
        write_private(self._key_file, json.dumps(key.as_dict(private=True)).encode())
        self.jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="utf-8")

    def mint(
        self, member_id: str, *, name: str | None = None, agency: str | None = None, amr: Sequence[str] = ("pwd", "otp"),
        ttl_s: int = 900, forged: bool = False,
    ) -> str:  # fmt: skip
        """Return a token; ``forged`` signs it with a key of the same ID that the issuer never had."""
        key = ECKey.import_key(json.loads(self._key_file.read_text(encoding="utf-8")))
        if forged:
            key = ECKey.generate_key("P-256", {"kid": str(key.kid), "alg": "ES256"})
        known = MEMBERS.get(member_id, (member_id, "elk-grove-pd"))
        now = int(time.time())
        issued = min(now, now + ttl_s - 900)
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": member_id, "name": name or known[0], "agency": agency or known[1],
            "amr": list(amr), "iat": issued, "auth_time": issued, "exp": now + ttl_s, "jti": str(uuid.uuid4()),
        }  # fmt: skip
        return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)
