"""The audit log and the decider, as seen from another service. Both fail closed."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc, event_pb2
from plateward.common.v1 import decision_pb2, errors_pb2, receipt_pb2
from servicekit.errors import PlatewardError, parse_rpc_error
from servicekit.log_watch import LogWatch
from tlog.note import VerifierKey

AUDIT_DEADLINE_S = 3.0
DECIDE_DEADLINE_S = 2.0


class RemoteAudit:
    """Appends to the audit service. Retries once with the same event ID, which the log takes as the same entry."""

    def __init__(self, channel: grpc.aio.Channel, log_keys: Sequence[VerifierKey] = ()) -> None:
        self._stub = audit_pb2_grpc.AuditServiceStub(channel)
        self._watch = LogWatch(log_keys, self._consistency) if log_keys else None

    async def _consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        request = audit_pb2.GetConsistencyProofRequest(old_size=old_size, new_size=new_size)
        return (await self._stub.GetConsistencyProof(request, timeout=AUDIT_DEADLINE_S)).proof

    async def append(self, event: event_pb2.AuditEvent) -> receipt_pb2.Receipt:
        """Append an event.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE.
        """
        request = audit_pb2.AppendRequest(event=event)
        for patient in (False, True):
            try:
                # The second try waits for a log that is just coming back.
                answer = await self._stub.Append(request, timeout=AUDIT_DEADLINE_S, wait_for_ready=patient)
                if self._watch is not None:
                    await self._watch.demand(answer.receipt)
            except grpc.aio.AioRpcError as error:
                if not patient and error.code() == grpc.StatusCode.UNAVAILABLE:
                    continue
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE,
                    "the audit log did not take the record, and nothing is answered without one: try again shortly",
                    retry_after=1.0,
                ) from error
            return answer.receipt
        raise AssertionError("unreachable")


class RemoteDecider:
    """Asks the access service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = access_pb2_grpc.AccessServiceStub(channel)

    async def decide(self, request: access_pb2.DecideRequest) -> decision_pb2.Decision:
        """Return the decision.

        Raises:
            PlatewardError: DECISION_UNAVAILABLE.
        """
        try:
            return (await self._stub.Decide(request, timeout=DECIDE_DEADLINE_S, wait_for_ready=True)).decision
        except grpc.aio.AioRpcError as error:
            # A value that breaks a rule of DecideRequest breaks one of the caller's request too.
            if (
                error.code() == grpc.StatusCode.INVALID_ARGUMENT
                and (fault := parse_rpc_error(error)) is not None
            ):
                raise fault from error
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
                "access did not decide in time, and nothing is allowed without a decision: try again shortly",
                retry_after=1.0,
            ) from error
