"""Certificates of destruction: what stands in one, how it is signed, where they are kept (R-RET-4).

Rules
-----
1. A certificate states agency, kind, range, how many were destroyed, how many a hold kept back, the schedule with its legal
   basis, the policy version, and a commitment over the destroyed IDs.
2. The same facts stand in a C2SP signed note in plain text: it is read without a program and verified without the platform.
   Reads, pictures and hits are certified alike; each service keeps what it issued in a table ``certificates`` of its own.
3. A certificate is issued only with the receipt of its record in the audit log, whose event carries the note's digest.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from psycopg import AsyncConnection

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from tlog.note import SignerKey, sign_note

HEADING = "plateward certificate of destruction"
_DEFAULT_PAGE, _MOST_PAGE = 50, 500


def statement(certificate: reads_pb2.Certificate) -> str:
    """Return the text of a certificate's note: one fact a line, as ``plateward certificates verify`` expects it."""
    facts = {
        "certificate": certificate.certificate_id,
        "agency": certificate.agency_id,
        "kind": certificate.kind,
        "seen from": _told(certificate.range.start) if certificate.HasField("range") else "-",
        "seen before": _told(certificate.range.end) if certificate.HasField("range") else "-",
        "destroyed": str(certificate.destroyed),
        "held back": str(certificate.held),
        "schedule": " ".join(certificate.schedule.split()),
        "policy version": certificate.policy_version,
        "commitment": certificate.commitment.hex(),
        "destroyed at": _told(certificate.destroyed_at),
    }
    return f"{HEADING}\n" + "".join(f"{name}: {value}\n" for name, value in facts.items())


def sign(certificate: reads_pb2.Certificate, key: SignerKey) -> None:
    """Put the signed note into a certificate."""
    certificate.note = sign_note(statement(certificate), key)


def event_change(certificate: reads_pb2.Certificate) -> event_pb2.Change:
    """Return what the audit log is told of a certificate: no plate, no ID of a read."""
    return event_pb2.Change(
        kind="certificate",
        target=certificate.certificate_id,
        summary=f"destroyed {certificate.destroyed} of kind {certificate.kind}, held back {certificate.held}; "
        f"{certificate.schedule}; policy {certificate.policy_version}; commitment {certificate.commitment.hex()}",
        after_digest=hashlib.sha256(certificate.note.encode()).digest(),
    )


class CertificateStore:
    """The certificates that were issued; they are never changed and never deleted."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @staticmethod
    async def put(connection: AsyncConnection[Any], certificate: reads_pb2.Certificate) -> None:
        """Keep a certificate, in the transaction that ends its purge."""
        await connection.execute(
            "INSERT INTO certificates (certificate_id, agency_id, destroyed_at, document) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            (
                certificate.certificate_id, certificate.agency_id, certificate.destroyed_at.ToDatetime(UTC),
                certificate.SerializeToString(deterministic=True),
            ),
        )  # fmt: skip

    async def page(self, agency_id: str, size: int, token: str) -> tuple[list[reads_pb2.Certificate], str]:
        """Return an agency's certificates, newest first, and the token of the next page.

        Raises:
            PlatewardError: CURSOR_INVALID: the token is not one that this service gave out.
        """
        if token and not _is_id(token):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_CURSOR_INVALID,
                "The page token is not one that this service gave out: send the last one unchanged, or begin without one.",
            )
        size = min(size or _DEFAULT_PAGE, _MOST_PAGE)
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT certificate_id, document FROM certificates WHERE agency_id = %(agency)s AND "
                "(%(token)s = '' OR certificate_id < nullif(%(token)s, '')::uuid) ORDER BY certificate_id DESC LIMIT %(limit)s",
                {"agency": agency_id, "token": token, "limit": size + 1},
            )
            rows = await found.fetchall()
        certificates = [reads_pb2.Certificate.FromString(row["document"]) for row in rows[:size]]
        return certificates, certificates[-1].certificate_id if len(rows) > size else ""


def window(first: datetime | None, last: datetime | None) -> types_pb2.TimeWindow | None:
    """Return the range from the first to just after the last instant."""
    if first is None or last is None:
        return None
    found = types_pb2.TimeWindow()
    found.start.FromDatetime(first)
    found.end.FromDatetime(last)
    found.end.FromMicroseconds(found.end.ToMicroseconds() + 1)
    return found


def _is_id(token: str) -> bool:
    try:
        return str(UUID(token)) == token
    except ValueError:
        return False


def _told(stamp: Timestamp) -> str:
    return stamp.ToDatetime(UTC).isoformat(timespec="microseconds")
