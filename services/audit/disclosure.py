"""Two things that only a court or counsel can ask for: who looked at this plate, and that an entry's payload be sealed.

Rules
-----
1. Both need a second person: the decision must say that an approval of exactly this request was used.
2. A disclosure (Civil Code 1798.90.54) is encrypted for one recipient: an ephemeral P-256 key, ECDH (NIST SP 800-56A), HKDF-SHA-256,
   AES-256-GCM. Nobody between this service and counsel can read it, the operator included.
3. It holds each event with the salt of its commitment and an inclusion proof: counsel checks it against the public log, alone.
4. A sealing order is recorded in the log, in its public leaf, before the key is destroyed; what was recorded is finished after a crash.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import psycopg
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from google.protobuf import json_format

from plateward.common.v1 import errors_pb2
from servicekit.context import current
from servicekit.crypto import UnsealError, seal
from servicekit.errors import PlatewardError
from services.audit.model import SealedEntryError, Sealer
from services.audit.settings import AuditSettings
from services.audit.store import Payload, Store
from tlog.leaf import Leaf
from tlog.prover import Prover
from tlog.tiles import TileReader

_LOG = structlog.get_logger(__name__)
_INFO = b"plateward-disclosure/v1"
_MOST = 100_000
SECOND_PERSON = "agency.second-person"


def check_second_person() -> None:
    """Refuse a call that no second person approved.

    Raises:
        PlatewardError: DENIED_BY_POLICY.
    """
    decision = current().decision
    if decision is None or SECOND_PERSON not in decision.grounds:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
            "this needs a second person: ask for an approval of exactly this request (RequestApproval), and send its ID once it is granted",
            metadata={"rule": SECOND_PERSON},
        )


def recipient_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    """Return a recipient's P-256 public key.

    Raises:
        PlatewardError: INVALID_ARGUMENT.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "recipient_key must be a P-256 public key in PEM: counsel makes one with `plateward audit disclosure keys`",
        )
    return key


def encrypt(data: bytes, recipient: ec.EllipticCurvePublicKey) -> bytes:
    """Return the ephemeral public key (65 bytes) and the sealed data."""
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    public = ephemeral.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    secret = ephemeral.exchange(ec.ECDH(), recipient)
    key = HKDF(hashes.SHA256(), 32, salt=public, info=_INFO).derive(secret)
    return public + seal(key, data, _INFO)


class Disclosure:
    """Finds who looked at a plate, and packs it."""

    def __init__(self, store: Store, sealer: Sealer, tiles: TileReader) -> None:
        self._store = store
        self._sealer = sealer
        self._tiles = tiles

    async def package(
        self, agency_id: str, plate: str, process: str, size: int, note: str, keys: Sequence[str]
    ) -> tuple[bytes, list[int]]:
        """Return the package as JSON bytes, and the indexes of the entries that it holds."""
        terms = [
            ("plate", self._sealer.term("plate", plate)),
            ("agency", self._sealer.term("agency", agency_id)),
        ]
        rows = await self._store.search(terms, None, None, size, _MOST)
        prover = Prover(size, self._tiles)
        entries = [await self._entry(row, prover) for row in reversed(rows)]
        told = {
            "format": "plateward-disclosure/v1", "law": "Civil Code 1798.90.52, 1798.90.54", "agency": agency_id, "plate": plate,
            "process": process, "checkpoint": note, "log_keys": list(keys), "entries": entries,
        }  # fmt: skip
        return json.dumps(told, indent=1, ensure_ascii=False).encode(), [row.index for row in rows]

    async def _entry(self, row: Payload, prover: Prover) -> dict[str, Any]:
        told: dict[str, Any] = {
            "index": row.index, "leaf": row.entry.decode("ascii"), "inclusion_proof": [h.hex() for h in await prover.inclusion(row.index)],
        }  # fmt: skip
        try:
            salt, payload = self._sealer.opening(row.entry, row.sealed, row.wrapped_key)
            event = self._sealer.open(row.entry, row.sealed, row.wrapped_key)
        except (SealedEntryError, UnsealError) as error:
            return told | {"sealed": str(error)}
        return told | {
            "salt": base64.b64encode(salt).decode(), "payload": base64.b64encode(payload).decode(),
            "event": json_format.MessageToDict(event, preserving_proto_field_name=True),
        }  # fmt: skip


class Sealing:
    """Destroys keys, as the owner of the tables."""

    def __init__(self, settings: AuditSettings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def check(self) -> None:
        """Refuse when nobody gave the owner's connection.

        Raises:
            PlatewardError: WRONG_STATE.
        """
        if self._settings.owner_database_url is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_WRONG_STATE,
                "the service's role may not destroy a key: set PLATEWARD_AUDIT_OWNER_DATABASE_URL for the time of the order",
            )

    async def destroy(self, index: int) -> None:
        """Destroy the key of an entry's payload; the order is in the log already."""
        assert self._settings.owner_database_url is not None
        url = self._settings.owner_database_url.get_secret_value()
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("DELETE FROM payload_keys WHERE index = %s", (index,))
        _LOG.info("payload_sealed", index=index)

    async def finish(self) -> None:
        """Destroy the keys of orders that were recorded and not carried out before a crash."""
        if self._settings.owner_database_url is None:
            return
        for entry in await self._store.sealing_leaves():
            target = Leaf.parse(entry).seals
            if (
                target is not None
                and (await self._store.payloads(target, target + 1))[0].wrapped_key is not None
            ):
                await self.destroy(target)
