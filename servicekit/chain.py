"""The one place where the concerns of a call stand in their order.

errors → telemetry → identity → audit(attempt) → deadline → access → validation → handler → audit(outcome)

Messages come in as bytes and are parsed inside: gRPC would answer INTERNAL for bytes that it cannot parse, and nothing
would be on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.context import CallContext, enter
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.interceptors import access, deadline, errors, identity, telemetry, validation
from servicekit.interceptors.audit import Recorder
from servicekit.interceptors.call import Call
from servicekit.methods import Method
from servicekit.ports import Decider
from servicekit.revocations import RevocationWatch, bounds_changed, same_bounds, while_allowed
from servicekit.telemetry import Metrics
from servicekit.tokens import TokenVerifier

Implementation = Callable[[Any, Any], Any]


@dataclass(slots=True)
class Chain:
    """Runs every call of a service through the concerns."""

    clock: Clock
    metrics: Metrics
    verifier: TokenVerifier
    recorder: Recorder
    decider: Decider
    max_concurrent: int
    default_deadline_ms: int
    watch: RevocationWatch | None = None
    _running: int = 0

    async def unary(self, method: Method, implementation: Implementation | None, raw: Any, rpc: Any) -> bytes:
        """Handle a call with one answer; ``raw`` is bytes, or an iterator of bytes with client streaming."""
        call = self._call(method, rpc)

        async def work() -> Message:
            async with deadline.limited(call, self.default_deadline_ms):
                request = await self._admit(call, raw)
                answer: Message = await _built(call, implementation)(request, rpc)
            return await self._settled(call, answer)

        return (await self._guarded(call, work())).SerializeToString()

    async def stream(
        self, method: Method, implementation: Implementation | None, raw: Any, rpc: Any
    ) -> AsyncIterator[bytes]:
        """Handle a call with many answers."""
        call = self._call(method, rpc)
        call.heard = self.watch.heard if self.watch is not None else 0
        failure: PlatewardError | None = None
        self._enter()
        try:
            async with telemetry.observed(call, self.metrics):
                try:
                    self._check_room()
                    request = await self._admit(call, raw)
                    async with (
                        aclosing(_built(call, implementation)(request, rpc)) as answers,
                        aclosing(self._while_allowed(call, answers)) as allowed,
                    ):
                        async for answer in allowed:
                            yield answer.SerializeToString()
                    if method.always_recorded:
                        await self.recorder.outcome(call)
                except (asyncio.CancelledError, GeneratorExit):
                    if call.attempted:
                        await asyncio.shield(self.recorder.outcome(call))
                    raise
                except Exception as fault:
                    failure = errors.typed(fault, call)
                    raise failure from fault
        except PlatewardError as error:
            if failure is None:
                raise
            await self._refused(call, error)
            await errors.abort(call, error)
        finally:
            self._leave()

    async def _while_allowed(
        self, call: Call, answers: AsyncIterator[Message]
    ) -> AsyncGenerator[Message, None]:
        """Yield the answers of a stream; one that policy decided on goes on only while policy would still allow it."""
        if self.watch is None or not call.method.rule.decided:
            async for answer in answers:
                yield answer
            return

        async def decide_again() -> None:
            before = call.context.decision
            assert call.request is not None
            await access.decide(call, call.request, self.decider, again=True)
            if call.context.decision is None or not same_bounds(before, call.context.decision):
                raise bounds_changed()

        with self.watch.doubt(call.context.subject, call.heard) as doubt:
            until = call.context.valid_until
            async with aclosing(while_allowed(answers, doubt, decide_again, until, self.clock)) as allowed:
                async for answer in allowed:
                    yield answer

    async def _guarded(self, call: Call, work: Awaitable[Message]) -> Message:
        self._enter()
        try:
            async with telemetry.observed(call, self.metrics):
                try:
                    self._check_room()
                    return await work
                except Exception as fault:
                    raise errors.typed(fault, call) from fault
        except PlatewardError as error:
            await self._refused(call, error)
            await errors.abort(call, error)
        finally:
            self._leave()

    async def _refused(self, call: Call, error: PlatewardError) -> None:
        # The log itself is away, or the service has no room: recording it would only add to that.
        if error.reason not in {errors_pb2.ERROR_REASON_OVERLOADED, errors_pb2.ERROR_REASON_DRAINING}:
            await self.recorder.refusal(call, error)

    async def _admit(self, call: Call, raw: Any) -> Any:
        """Take a call through identity, attempt, access and validation; return what the handler gets."""
        method = call.method
        await identity.identify(call, self.verifier)
        if method.client_streaming:
            if method.always_recorded:
                await self.recorder.attempt(call)
            return await self._admit_stream(call, raw)
        malformed: PlatewardError | None = None
        try:
            call.request = validation.parse(method.request_class, raw)
        except PlatewardError as error:
            malformed = error
        if method.always_recorded:
            await self.recorder.attempt(call)
        if malformed is not None:
            raise malformed
        assert call.request is not None
        if method.rule.decided:
            await access.decide(call, call.request, self.decider)
        validation.validate(call.request)
        # Ingest looks at each read of a batch itself, so that one bad read does not refuse the others.
        if method.rule.action != action_pb2.ACTION_INGEST:
            validation.check_values(call.request)
        return call.request

    async def _admit_stream(self, call: Call, raw: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        messages = self._messages(call, raw)
        if not call.method.rule.decided:
            return messages
        first = await anext(messages, None)
        if first is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT, "the stream ended before its first message"
            )
        call.request = first
        await access.decide(call, first, self.decider)
        return _chained(first, messages)

    async def _messages(self, call: Call, raw: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for item in raw:
            message = validation.parse(call.method.request_class, item)
            validation.validate(message)
            yield message

    async def _settled(self, call: Call, answer: Message) -> Message:
        """Record the outcome and put receipt and decision into the answer, where it has a place for them."""
        fields = answer.DESCRIPTOR.fields_by_name
        if call.method.always_recorded:
            receipt = await self.recorder.outcome(call)
            if "receipt" in fields:
                answer.receipt.CopyFrom(receipt)  # type: ignore[attr-defined]
        if "decision" in fields and call.context.decision is not None and not answer.HasField("decision"):
            answer.decision.CopyFrom(call.context.decision)  # type: ignore[attr-defined]
        return answer

    def _call(self, method: Method, rpc: Any) -> Call:
        context = CallContext(
            request_id=new_id(self.clock), method=method.path, caller=identity.UNKNOWN, subject=types_pb2.Subject(),
            received_at=self.clock.now(),
        )  # fmt: skip
        enter(context)
        return Call(method, rpc, context)

    def _enter(self) -> None:
        self._running += 1

    def _leave(self) -> None:
        self._running -= 1

    def _check_room(self) -> None:
        if self._running > self.max_concurrent:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED,
                "too many calls at once: try again after the delay given",
                retry_after=0.5,
            )


def _built(call: Call, implementation: Implementation | None) -> Implementation:
    if implementation is None:
        rows = ", ".join(call.method.rule.requirements)
        raise PlatewardError(
            errors_pb2.ERROR_REASON_NOT_BUILT,
            f"{call.method.name} is designed and not built yet; it will serve {rows} (docs/traceability.md)",
        )
    return implementation


async def _chained(first: Message, rest: AsyncIterator[Message]) -> AsyncIterator[Message]:
    yield first
    async for message in rest:
        yield message
