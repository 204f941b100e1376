"""Times of messages as times of Python."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError


def instant(stamp: Timestamp) -> datetime:
    """Return a timestamp as an aware instant.

    Raises:
        PlatewardError: INVALID_ARGUMENT for what no calendar has.
    """
    try:
        return stamp.ToDatetime(UTC)
    except ValueError as error:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT, "A time is out of range: give years 1 to 9999."
        ) from error
