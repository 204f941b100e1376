"""Pages: how many rows, and after which one."""

from __future__ import annotations

from uuid import UUID

from plateward.common.v1 import errors_pb2, types_pb2
from servicekit.errors import PlatewardError

DEFAULT, MOST = 100, 500


def name_page(page: types_pb2.PageRequest) -> tuple[int, str]:
    """Return rows wanted, and the name after which they begin."""
    return min(page.size or DEFAULT, MOST), page.token


def id_page(page: types_pb2.PageRequest) -> tuple[int, str | None]:
    """Return rows wanted, and the ID after which they begin; None for the first page.

    Raises:
        PlatewardError: CURSOR_INVALID.
    """
    size, token = name_page(page)
    if not token:
        return size, None
    try:
        return size, str(UUID(token))
    except ValueError as error:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_CURSOR_INVALID,
            "the page token is not one of this list: send the last one unchanged, or begin without one",
        ) from error
