"""The API as the descriptors tell it: every method with its rule, and raw calls to any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from plateward.access.v1 import access_pb2
from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import action_pb2, options_pb2
from plateward.hotlist.v1 import hotlist_pb2
from plateward.reads.v1 import reads_pb2
from plateward.recognizer.v1 import recognizer_pb2

MODULES = {
    "recognizer": recognizer_pb2,
    "reads": reads_pb2,
    "hotlist": hotlist_pb2,
    "access": access_pb2,
    "audit": audit_pb2,
}
# The development PKI's client for each kind of caller.
IDENTITIES = {
    action_pb2.CALLER_KIND_PORTAL: "portal",
    action_pb2.CALLER_KIND_GATEWAY: "gateway",
    action_pb2.CALLER_KIND_PARTNER: "galt-pd",
    action_pb2.CALLER_KIND_OPERATOR: "operator",
    action_pb2.CALLER_KIND_WITNESS: "witness",
    action_pb2.CALLER_KIND_SERVICE: "service",
}
CALL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the API."""

    service: str
    descriptor: MethodDescriptor

    @property
    def path(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def rule(self) -> options_pb2.MethodRule:
        return self.descriptor.GetOptions().Extensions[options_pb2.rule]

    @property
    def request_class(self) -> type[Message]:
        return GetMessageClass(self.descriptor.input_type)

    def __str__(self) -> str:
        return f"{self.service}.{self.descriptor.name}"


def every_method() -> list[Method]:
    """Return every method of every service."""
    return [
        Method(name, m)
        for name, module in MODULES.items()
        for s in module.DESCRIPTOR.services_by_name.values()
        for m in s.methods
    ]


def every_message() -> Iterator[Descriptor]:
    """Yield every message of the API, nested ones too, once."""
    seen: set[str] = set()

    def walk(descriptor: Descriptor) -> Iterator[Descriptor]:
        if descriptor.full_name in seen or not descriptor.full_name.startswith("plateward."):
            return
        seen.add(descriptor.full_name)
        yield descriptor
        for field in descriptor.fields:
            if field.message_type is not None:
                yield from walk(field.message_type)

    for method in every_method():
        yield from walk(method.descriptor.input_type)
        yield from walk(method.descriptor.output_type)


async def call_raw(
    channel: grpc.aio.Channel, method: Method, payload: bytes, metadata: tuple[tuple[str, str], ...] = ()
) -> grpc.StatusCode:
    """Send raw bytes to a method of any shape; return the status it ended with."""
    status, _ = await call_raw_details(channel, method, payload, metadata)
    return status


async def call_raw_details(
    channel: grpc.aio.Channel, method: Method, payload: bytes, metadata: tuple[tuple[str, str], ...] = ()
) -> tuple[grpc.StatusCode, str]:
    """Like ``call_raw``, with the status message too."""
    d = method.descriptor
    options: dict[str, Any] = {"metadata": metadata, "timeout": CALL_TIMEOUT_S}

    async def one() -> AsyncIterator[bytes]:
        yield payload

    try:
        if d.client_streaming and d.server_streaming:
            async for _ in channel.stream_stream(method.path)(one(), **options):
                break
        elif d.server_streaming:
            async for _ in channel.unary_stream(method.path)(payload, **options):
                break
        elif d.client_streaming:
            await channel.stream_unary(method.path)(one(), **options)
        else:
            await channel.unary_unary(method.path)(payload, **options)
    except grpc.aio.AioRpcError as error:
        return error.code(), f"{error.details()} {error.trailing_metadata()}"
    return grpc.StatusCode.OK, ""
