"""The cover sheet of an evidence package: what a clerk, a prosecutor and a defender read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from plateward.reads.v1 import read_pb2, reads_pb2

_PARTIES = {
    reads_pb2.HOLD_PARTY_PROSECUTION: "police or prosecution",
    reads_pb2.HOLD_PARTY_DEFENCE: "the defence",
    reads_pb2.HOLD_PARTY_CIVIL: "a civil party or discovery",
}
_PAGES = Environment(
    loader=PackageLoader("services.reads", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


def cover_sheet(
    agency_id: str,
    hold: reads_pb2.Hold,
    reads: Sequence[read_pb2.Read],
    custody: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, str],
    verifier_key: str,
    now: datetime,
) -> str:
    """Return the sheet as HTML that needs nothing but itself."""
    return _PAGES.get_template("cover.html").render(
        agency=agency_id, hold=hold, party=_PARTIES.get(hold.party, "not stated"), custody=custody, key=verifier_key,
        made_at=f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        review_at=f"{hold.review_at.ToDatetime(UTC):%Y-%m-%d}",
        rows=[
            {
                "read": read, "seen": f"{read.seen_at.ToDatetime(UTC):%Y-%m-%d %H:%M:%S} UTC",
                "pictures": [name for name in sorted(pictures) if name.startswith(read.read_id)],
            }
            for read in reads
        ],
    )  # fmt: skip
