"""Who calls: the certificate's agency and kind, and the member of the token where the method needs one."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from servicekit.errors import PlatewardError
from servicekit.identity import Caller, caller_from_auth_context
from servicekit.interceptors.call import Call
from servicekit.tokens import Claims, TokenVerifier

UNKNOWN = Caller(agency_id="", kind=action_pb2.CALLER_KIND_UNSPECIFIED, workload="")


async def identify(call: Call, verifier: TokenVerifier) -> None:
    """Fill in caller and subject; refuse what may not call.

    A member's token is checked on every method that takes members, so that a bad token is never ignored.

    Raises:
        PlatewardError: UNKNOWN_CALLER, CALLER_NOT_ALLOWED, TOKEN_… or MFA_REQUIRED.
    """
    caller = caller_from_auth_context(call.rpc.auth_context())
    call.context.caller = caller
    call.context.subject = types_pb2.Subject(
        agency_id=caller.agency_id, kind=caller.kind, workload=caller.workload
    )
    if caller.kind not in call.method.rule.callers:
        kinds = ", ".join(
            action_pb2.CallerKind.Name(k).removeprefix("CALLER_KIND_").lower()
            for k in call.method.rule.callers
        )
        raise PlatewardError(
            errors_pb2.ERROR_REASON_CALLER_NOT_ALLOWED,
            f"{call.method.name} is not for this kind of certificate; it takes: {kinds or 'none'}",
            metadata={"rule": "platform.caller-kind"},
        )
    token = _bearer(call)
    if token is None:
        if call.method.rule.needs_user:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_TOKEN_MISSING,
                "a member must be signed in: send the token as `authorization: Bearer …`",
            )
        return
    claims = await verifier.verify(token, caller.agency_id)
    call.context.subject.MergeFrom(_member(claims))
    call.context.valid_until = claims.expires_at


def _bearer(call: Call) -> str | None:
    for key, value in call.rpc.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_TOKEN_INVALID, "send the token as `authorization: Bearer …`"
                )
            return token.strip()
    return None


def _member(claims: Claims) -> types_pb2.Subject:
    signed_in = Timestamp()
    signed_in.FromDatetime(claims.signed_in_at)
    return types_pb2.Subject(
        member_id=claims.member_id[:128], member_name=claims.name[:128], amr=[m[:32] for m in claims.amr[:8]],
        token_id=claims.token_id[:128], signed_in_at=signed_in, federal_task_force=claims.federal_task_force,
    )  # fmt: skip
