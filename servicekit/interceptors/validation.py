"""Messages: parsed inside the error boundary, then held to the rules of their proto (protovalidate)."""

from __future__ import annotations

from typing import TypeVar

import protovalidate
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

_M = TypeVar("_M", bound=Message)
_MOST_SHOWN = 8
# Years 1 to 9999, less a day on each side so that no time zone leaves them.
_FIRST_S, _LAST_S, _NANOS = -62_135_510_400, 253_402_214_400, 1_000_000_000


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
    try:
        violations = [
            (_path(violation), violation.proto.message)
            for violation in protovalidate.collect_violations(message)
        ]
    except protovalidate.EvaluationError as error:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "correct the request: a value lies outside of what its type can hold",
        ) from error
    if violations:
        shown = "; ".join(f"{field}: {what}" if field else what for field, what in violations[:_MOST_SHOWN])
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT, f"correct the request: {shown}", violations=violations
        )


def check_values(message: Message) -> None:
    """Refuse what no rule of a proto states and no database takes: NUL in text, times that no calendar has.

    Raises:
        PlatewardError: INVALID_ARGUMENT with the field.
    """
    for descriptor, value in message.ListFields():
        for item in value if descriptor.is_repeated else (value,):
            if isinstance(item, Timestamp):
                fault = (
                    None
                    if _FIRST_S <= item.seconds <= _LAST_S and 0 <= item.nanos < _NANOS
                    else "is no time of the calendar"
                )
            elif isinstance(item, Message):
                check_values(item)
                fault = None
            else:
                fault = "holds a NUL character" if isinstance(item, str) and "\0" in item else None
            if fault:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                    f"correct the request: {descriptor.name} {fault}",
                    violations=[(descriptor.name, fault)],
                )


def _path(violation: protovalidate.Violation) -> str:
    field = violation.proto.field
    return ".".join(element.field_name for element in field.elements) if field is not None else ""
