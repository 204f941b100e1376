"""Messages: parsed inside the error boundary, then held to the rules of their proto (protovalidate)."""

from __future__ import annotations

from typing import TypeVar

import protovalidate
from google.protobuf.message import DecodeError, Message

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

_M = TypeVar("_M", bound=Message)
_MOST_SHOWN = 8


def parse(message_class: type[_M], raw: bytes) -> _M:
    """Return the message of some bytes.

    Raises:
        PlatewardError: INVALID_ARGUMENT.
    """
    try:
        return message_class.FromString(raw)
    except (DecodeError, ValueError, RecursionError) as error:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            f"the bytes are no {message_class.DESCRIPTOR.name}: use stubs generated from the published protos",
        ) from error


def validate(message: Message) -> None:
    """Hold a message to its rules.

    Raises:
        PlatewardError: INVALID_ARGUMENT with the fields that break a rule.
    """
    violations = [
        (".".join(element.field_name for element in violation.proto.field.elements), violation.proto.message)
        for violation in protovalidate.collect_violations(message)
    ]
    if violations:
        shown = "; ".join(f"{field}: {what}" if field else what for field, what in violations[:_MOST_SHOWN])
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT, f"correct the request: {shown}", violations=violations
        )
