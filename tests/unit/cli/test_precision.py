"""``plateward lists precision``: a table with bars, nothing said of what nobody has settled."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from clients.cli.lists import precision_table
from plateward.hotlist.v1 import hotlist_pb2


@pytest.mark.req("R-TRN-2")
def test_precision_is_of_the_settled_hits() -> None:
    rows = [
        hotlist_pb2.MatchStatistic(group="camera", name="cam-1", raised=3),
        hotlist_pb2.MatchStatistic(
            group="list", name="ncic", raised=42, confirmed=30, rejected={"REJECTION_MISREAD": 8, "REJECTION_STALE": 2}
        ),
    ]  # fmt: skip
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(precision_table(rows, 30))
    told = console.export_text()
    assert "8 misread, 2 stale" in told
    assert f"{'█' * 20} 75% of 40" in told
    assert told.index("ncic") < told.index("cam-1")
    assert "nobody has settled one yet" in told
