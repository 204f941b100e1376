"""Methods as their descriptors tell them: message classes, shape, rule, and the fields that are query elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import options_pb2

_MOST_VALUE = 2048
_MOST_ELEMENTS = 64


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service."""

    path: str
    name: str
    rule: options_pb2.MethodRule
    request_class: type[Message]
    client_streaming: bool
    server_streaming: bool

    @property
    def always_recorded(self) -> bool:
        """Whether attempt and outcome go to the audit log; forgetting the option means yes."""
        return self.rule.audit != options_pb2.AUDIT_MODE_REFUSALS

    @classmethod
    def of(cls, descriptor: MethodDescriptor) -> Method:
        """Return the method that a descriptor describes."""
        return cls(
            path=f"/{descriptor.containing_service.full_name}/{descriptor.name}",
            name=descriptor.name,
            rule=descriptor.GetOptions().Extensions[options_pb2.rule],
            request_class=GetMessageClass(descriptor.input_type),
            client_streaming=descriptor.client_streaming,
            server_streaming=descriptor.server_streaming,
        )


def methods_of(service: ServiceDescriptor) -> list[Method]:
    """Return all methods of a service."""
    return [Method.of(descriptor) for descriptor in service.methods]


def query_elements(request: Message) -> list[event_pb2.QueryElement]:
    """Return the data elements used to query, as text (Civil Code 1798.90.52(a)(2))."""
    found = []
    for descriptor, value in request.ListFields():
        if descriptor.GetOptions().Extensions[options_pb2.query_element]:
            found += [
                event_pb2.QueryElement(name=descriptor.name, value=t[:_MOST_VALUE])
                for t in _texts(descriptor, value)
            ]
    return found[:_MOST_ELEMENTS]


def _texts(descriptor: FieldDescriptor, value: object) -> Iterator[str]:
    if descriptor.is_repeated:
        for item in value:  # type: ignore[attr-defined]
            yield _text(descriptor, item)
    else:
        yield _text(descriptor, value)


def _text(descriptor: FieldDescriptor, value: object) -> str:
    if isinstance(value, Message):
        try:
            return json_format.MessageToJson(value, indent=None)
        except (ValueError, OverflowError, json_format.Error):
            return "unreadable"
    if descriptor.enum_type is not None and isinstance(value, int):
        known = descriptor.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    return str(value)
