"""Destruction of hits: what no schedule keeps goes with all that belongs to it, and a certificate says what went (R-RET-4).

Rules
-----
1. Hits go with their steps, confirmations and pictures in one transaction, which also keeps their certificate to come: agency, kind
   ``hit``, range, how many, the schedule, and the root of an RFC 6962 tree over the destroyed IDs, sorted.
2. A certificate is issued once the audit log has taken its record, as for reads (``servicekit/certificates.py``). One whose record
   is missing is found by the next run.
3. What a legal hold keeps stays until the hold ends: a hit whose read is held, or whose entry names the case of a hold. `reads` is
   asked just before each destruction; while it does not answer, nothing is destroyed. What stays is invisible like all that has
   expired. Not covered: a hold that is placed in the moment between the answer and the destruction.
4. Without the key of this service nothing can be signed: hits are destroyed, and the log says that no certificate was issued.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import structlog

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, receipt_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.certificates import CertificateStore, event_change, sign, window
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.interceptors.audit import SOFTWARE
from services.hotlist.keeping import HIT, Keeping, Rule
from services.hotlist.matching import span
from tlog.hashing import leaf_hash, root_from_leaves
from tlog.note import KeyType, SignerKey

_AT_ONCE = 1000
_TIMEOUT_S = 5.0
_SIGNER = "plateward/hotlist"
_DUE = (
    "SELECT hits.hit_id::text AS hit_id, hits.read_id::text AS read_id, entries.case_number FROM hits "
    "JOIN entries USING (entry_id) WHERE hits.agency_id = %s AND hits.expires_at <= %s ORDER BY hits.hit_id"
)
_log = structlog.get_logger(__name__)
Append = Callable[[event_pb2.AuditEvent], Awaitable[receipt_pb2.Receipt]]


def signing_key(master: bytes) -> SignerKey:
    """Return the key that signs certificates, apart from the key of pictures and webhooks."""
    return SignerKey(
        _SIGNER, KeyType.ED25519, hmac.digest(master, b"plateward hotlist signing key", "sha256")
    )


class Destruction:
    """Destroys what is due and certifies it."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        keeping: Keeping,
        reads: grpc.aio.Channel,
        append: Append,
        signer: SignerKey | None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._keeping = keeping
        self._reads: Any = reads_pb2_grpc.ReadsServiceStub(reads)
        self._append = append
        self._signer = signer

    async def destroy(self) -> int:
        """Shorten what a policy has shortened, destroy what has expired; return how many hits are gone.

        Raises:
            grpc.aio.AioRpcError: `reads` cannot say what is held; the next pass does it.
            PlatewardError: AUDIT_UNAVAILABLE; what is gone is gone, the next pass certifies it.
            psycopg.OperationalError: the database is away; the next pass does it.
        """
        await self._issue()
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT DISTINCT agency_id FROM hits")
            agencies = [row["agency_id"] for row in await found.fetchall()]
        gone = 0
        for agency_id in agencies:
            rule = await self._keeping.rule(agency_id)
            await self._shorten(agency_id, rule)
            gone += await self._destroy(agency_id, rule)
        await self._issue()
        return gone

    async def run(self, interval_s: float) -> None:
        """Destroy what is due, again and again, until cancelled."""
        while True:
            try:
                if gone := await self.destroy():
                    _log.info("hits_destroyed", hits=gone)
            except grpc.aio.AioRpcError as error:
                _log.warning("destruction_waits_for_holds", code=error.code().name)
            except PlatewardError:
                _log.warning("certificate_waits_for_audit")
            except UNAVAILABLE:
                _log.warning("database_away")
            await asyncio.sleep(interval_s)

    async def _shorten(self, agency_id: str, rule: Rule | None) -> None:
        if rule is not None:
            async with self._pool.connection() as connection:
                await connection.execute(
                    "UPDATE hits SET expires_at = seen_at + %s WHERE agency_id = %s AND expires_at > seen_at + %s",
                    (rule.keep, agency_id, rule.keep),
                )

    async def _destroy(self, agency_id: str, rule: Rule | None) -> int:
        now = self._clock.now()
        async with self._pool.connection() as connection:
            found = await connection.execute(_DUE, (agency_id, now))
            due = await found.fetchall()
        held = await self._held(agency_id, due)
        going = [row["hit_id"] for row in due if row["hit_id"] not in held]
        if not going:
            return 0
        async with self._pool.connection() as connection, connection.transaction():
            for table in ("verifications", "confirmations", "hit_pictures"):
                await connection.execute(f"DELETE FROM {table} WHERE hit_id = ANY(%s::uuid[])", (going,))  # noqa: S608
            deleted = await connection.execute(
                "DELETE FROM hits WHERE hit_id = ANY(%s::uuid[]) RETURNING hit_id::text AS hit_id, seen_at",
                (going,),
            )
            # What another replica has destroyed meanwhile is in its certificate.
            gone = sorted(await deleted.fetchall(), key=lambda row: str(row["hit_id"]))
            if gone and self._signer is not None:
                certificate = reads_pb2.Certificate(
                    certificate_id=new_id(self._clock), agency_id=agency_id, kind=HIT, destroyed=len(gone), held=len(held),
                    schedule=_told(rule), policy_version=rule.policy_version if rule is not None else "",
                    commitment=root_from_leaves(leaf_hash(row["hit_id"].encode()) for row in gone),
                    range=window(min(row["seen_at"] for row in gone), max(row["seen_at"] for row in gone)),
                )  # fmt: skip
                certificate.destroyed_at.FromDatetime(now)
                sign(certificate, self._signer)
                await connection.execute(
                    "INSERT INTO certificates_to_come (certificate_id, document) VALUES (%s, %s)",
                    (certificate.certificate_id, certificate.SerializeToString(deterministic=True)),
                )
        if gone and self._signer is None:
            _log.warning("hits_destroyed_without_certificate", hits=len(gone), agency=agency_id)
        return len(gone)

    async def _held(self, agency_id: str, due: Sequence[dict[str, Any]]) -> set[str]:
        """Return the hits that a hold keeps (rule 3)."""
        held = set[str]()
        for at in range(0, len(due), _AT_ONCE):
            part = due[at : at + _AT_ONCE]
            request = reads_pb2.FindHeldRequest(
                agency_id=agency_id,
                read_ids=[row["read_id"] for row in part],
                case_numbers=sorted({row["case_number"] for row in part if row["case_number"]}),
            )
            answer = await self._reads.FindHeld(request, timeout=_TIMEOUT_S)
            reads, cases = set(answer.read_ids), set(answer.case_numbers)
            held |= {row["hit_id"] for row in part if row["read_id"] in reads or row["case_number"] in cases}
        return held

    async def _issue(self) -> None:
        """Issue the certificates that wait for their record (rule 2)."""
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT document FROM certificates_to_come")
            waiting = [reads_pb2.Certificate.FromString(row["document"]) for row in await found.fetchall()]
        for certificate in waiting:
            certificate.receipt.CopyFrom(await self._append(self._event(certificate)))
            async with self._pool.connection() as connection, connection.transaction():
                await CertificateStore.put(connection, certificate)
                await connection.execute(
                    "DELETE FROM certificates_to_come WHERE certificate_id = %s",
                    (certificate.certificate_id,),
                )

    def _event(self, certificate: reads_pb2.Certificate) -> event_pb2.AuditEvent:
        event = event_pb2.AuditEvent(
            event_id=certificate.certificate_id, phase=event_pb2.PHASE_SYSTEM, service="hotlist", software=SOFTWARE,
            action=action_pb2.ACTION_DESTROY, owner_agency_id=certificate.agency_id, change=event_change(certificate),
            outcome=event_pb2.Outcome(status="OK", result_count=certificate.destroyed),
        )  # fmt: skip
        event.occurred_at.CopyFrom(certificate.destroyed_at)
        return event


def _told(rule: Rule | None) -> str:
    if rule is None:
        return "with the read: no schedule of hits was learnt"
    kept = span(int(rule.keep.total_seconds()))
    return f"{kept} ({rule.basis})" if rule.basis else kept
