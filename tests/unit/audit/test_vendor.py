"""Another vendor's audit export: whatever program wrote it, however it is damaged, the detectors see the searches."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from clients.cli.main import app
from services.audit.looks import Look
from services.audit.misuse.times import parse_time, span_days
from services.audit.misuse.vendor import FORMATS, MOST_SHOWN, VendorError, VendorReader
from services.audit.misuse.vendor_report import to_csv, to_html, to_json
from services.audit.misuse.vendor_run import Summary, summarise

pytestmark = pytest.mark.req("R-AUD-3")
HEADER = "Name,Org Name,Total Networks Searched,Time Frame,License Plate,Reason,Case #,Filters,Search Time,Search Type,Text Prompt,Moderation"
PACIFIC = ZoneInfo("America/Los_Angeles")
ROW = 'J. Doe,Elk Grove PD,2311,"01/02/2026, 12:00 AM - 02/01/2026, 12:00 AM",8ABC123,stolen Accord,26-004312,,"11/3/2025, 2:05:09 PM PST",License Plate,,'


def read(data: bytes | str, *, chunk: int = 1 << 16, form: str = FORMATS[0]) -> VendorReader:
    raw = data.encode() if isinstance(data, str) else data
    reader = VendorReader(form, "", PACIFIC)
    for start in range(0, len(raw), chunk):
        reader.feed(raw[start : start + chunk])
    reader.end()
    return reader


def looks(data: bytes | str, **given_: int) -> list[Look]:
    return list(read(data, **given_).looks())


def test_a_row_becomes_a_look() -> None:
    (look,) = looks(f"{HEADER}\n{ROW}\n")
    assert look.at == datetime(2025, 11, 3, 22, 5, 9, tzinfo=UTC)
    assert (look.member_id, look.plate, look.case_number, look.reason) == (
        "J. Doe (Elk Grove PD)",
        "8ABC123",
        "26-004312",
        "stolen Accord",
    )
    assert (look.agencies, look.span_days, look.index, look.action) == (2311, 30.0, 2, "license plate")


def test_thousands_and_doubled_quotes() -> None:
    (look,) = looks(
        f"{HEADER}\n" + ROW.replace("2311", '"1,103"').replace("stolen Accord", '"an ""odd"" reason, here"')
    )
    assert (look.agencies, look.reason) == (1103, 'an "odd" reason, here')


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_encodings_line_ends_and_cuts(encoding: str, newline: str, chunk: int) -> None:
    text = newline.join([HEADER, ROW.replace("J. Doe", "José Núñez"), ROW, ""])
    found = looks(text.encode(encoding), chunk=chunk)
    assert [x.member_id for x in found] == ["José Núñez (Elk Grove PD)", "J. Doe (Elk Grove PD)"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters(delimiter: str) -> None:
    rows = ["Search Time", "License Plate", "Name"], ["2026-01-02 03:04", "8ABC123", "A"]
    assert looks("\n".join(delimiter.join(r) for r in rows))[0].plate == "8ABC123"


def test_columns_in_any_order_some_missing_some_unknown_after_lines_of_title() -> None:
    reader = read(
        "Search Audit\nExported by,admin\n\nSEARCH_TIME,Favourite Colour,plate number,User\n1/2/2026 3:04 PM,blue,8abc 123,Ann\n"
    )
    (look,) = reader.looks()
    assert (look.plate, look.member_id, look.index) == ("8ABC123", "Ann", 5)
    assert reader.unknown == ["Favourite Colour"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name,plate,colour\na,b,c\n", "Search Time"),
        (b"\x00" * 300_000, "no CSV"),
        (b"x" * 300_000, "no CSV"),
        (b"%PDF-1.7\n" + b"1 0 obj\n" * 40, "Search Time"),
    ],
)
def test_what_is_no_export_says_so(data: bytes, told: str) -> None:
    with pytest.raises(VendorError, match=told):
        read(data)


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(VendorError, match="flock-network-audit"):
        VendorReader("motorola", "")


def test_malformed_rows_are_counted_and_named_by_line() -> None:
    bad = [ROW.replace("11/3/2025", "25/12/2025"), ROW.replace('"11/3/2025, 2:05:09 PM PST"', "yesterday"), ROW + ",extra,cells", ROW.replace("11/3/2025", "2/30/2025")]  # fmt: skip
    reader = read("\n".join([HEADER, ROW, *bad, ROW.replace("2:05", "2:06")]))
    assert len(list(reader.looks())) == 2
    assert reader.malformed_rows == 4
    assert [row.line for row in reader.malformed] == [3, 4, 5, 6]
    assert "month/day/year" in reader.malformed[0].why
    assert "outside of quotes" in reader.malformed[2].why
    many = read("\n".join([HEADER, *["x,y"] * 30_000]))
    assert (many.rows, many.malformed_rows, len(many.malformed)) == (30_000, 30_000, MOST_SHOWN)


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    rows = [ROW.replace("2:05:09", f"2:{n:02}:09") for n in range(60)]
    rows[10] = rows[10].replace("stolen Accord", '"stolen Accord')
    rows[40] = rows[40].replace("stolen Accord", 'Accord 6" exhaust')
    reader = read("\n".join([HEADER, *rows]))
    found = list(reader.looks())
    assert [row.line for row in reader.malformed] == [12]
    assert len(found) == 59
    assert found[39].reason == 'Accord 6" exhaust'


def test_a_cell_may_hold_lines() -> None:
    (look,) = looks(
        f"{HEADER}\n{ROW.replace('stolen Accord', chr(34) + 'stolen' + chr(10) + 'Accord' + chr(34))}\n"
    )
    assert look.reason == "stolen Accord"


def test_rows_in_any_order_come_out_in_order_of_time_and_once() -> None:
    rows = [ROW.replace("2:05:09", f"2:{n:02}:09") for n in range(50)]
    reader = read("\n".join([HEADER, *reversed(rows), rows[3], rows[7]]))
    found = list(reader.looks())
    assert [x.at for x in found] == sorted(x.at for x in found)
    assert (len(found), reader.duplicates) == (50, 2)


@pytest.mark.parametrize("name", ["", "***", "[REDACTED]", "Redacted", "████", "N/A", "xxxx"])
def test_redacted_names_are_somebodys(name: str) -> None:
    reader = read(f"{HEADER}\n{ROW.replace('J. Doe', name)}\n")
    assert [x.member_id for x in reader.looks()] == ["somebody of Elk Grove PD"]
    assert reader.redacted_rows == 1


def test_the_same_name_in_two_agencies_is_two_members() -> None:
    both = looks(f"{HEADER}\n{ROW}\n{ROW.replace('Elk Grove PD', 'Galt PD')}\n", form=FORMATS[1])  # type: ignore[arg-type]
    assert {x.member_id for x in both} == {"J. Doe (Elk Grove PD)", "J. Doe (Galt PD)"}


def test_several_plates_in_a_cell_are_several_looks() -> None:
    found = looks(
        f"{HEADER}\n{ROW.replace('8ABC123', chr(34) + 'CA: 8ABC-123, 7xyz987 (NV); -' + chr(34))}\n"
    )
    assert [x.plate for x in found] == ["8ABC123", "7XYZ987"]
    assert looks(f"{HEADER}\n{ROW.replace('8ABC123', '-')}\n")[0].plate == ""


def test_nothing_in_a_cell_moves_a_terminal_or_runs_in_a_spreadsheet_or_a_browser() -> None:
    rows = []
    for n in range(30):
        row = ROW.replace("J. Doe", '"=HYPERLINK(""http://x"")\x1b[2J\u202e<script>alert(1)</script>[red]"')
        rows.append(row.replace("26-004312", "").replace("11/3", f"11/{n % 28 + 1}"))
    summary = summarised("\n".join([HEADER, *rows]))
    assert summary.flags
    assert "\x1b" not in summary.flags[0].member_id
    assert "\u202e" not in summary.flags[0].member_id
    assert b"<script>" not in to_html(summary)
    cells = to_csv(summary).decode().splitlines()[1]
    assert ",\"'=HYPERLINK" in cells


def summarised(text: str) -> Summary:
    return summarise(read(text))


def stalker() -> list[str]:
    """The Milwaukee pattern among the searches of a small agency, newest first, as exports have it."""
    start = datetime(2026, 3, 1, 9)
    rows = []
    for n in range(600):
        at = start + timedelta(hours=n * 1.3)
        rows.append(
            (
                at,
                f"Ofc {n % 14},Elk Grove PD,1,7 days,7W{n:04},burglary on Bond Rd,26-{n:06},,{at:%m/%d/%Y %I:%M:%S %p},Plate,,",
            )
        )
    for n in range(179):
        at = start + timedelta(hours=n * 4)
        plate = "8HER123" if n % 5 < 3 else "7EXX987"
        rows.append(
            (at, f"B. Stone,Elk Grove PD,1,30 days,{plate},investigation,,,{at:%m/%d/%Y %I:%M:%S %p},Plate,,")
        )
    return [HEADER, *(row for _, row in sorted(rows, reverse=True))]


def test_the_detectors_find_the_stalker_in_an_export() -> None:
    summary = summarised("\n".join(stalker()))
    repeat = [f for f in summary.flags if f.detector == "repeat-target"]
    assert {(f.member_id, f.subject, len(f.indexes)) for f in repeat} == {
        ("B. Stone (Elk Grove PD)", "8HER123", 108),
        ("B. Stone (Elk Grove PD)", "7EXX987", 71),
    }
    assert {f.member_id for f in summary.flags} == {"B. Stone (Elk Grove PD)"}
    told = json.loads(to_json(summary))
    assert told["flags"][0]["lines"]
    assert told["rows"] == 779
    lines = stalker()
    assert all("B. Stone" in lines[n - 1] for f in told["flags"] for n in f["lines"])
    assert b"108 times" in to_html(summary)


def test_where_names_are_redacted_only_what_was_searched_is_judged() -> None:
    text = "\n".join(stalker()).replace("B. Stone", "***").replace("Ofc ", "***")
    for n in range(14):
        text = text.replace(f"***{n},", "***,")
    found = summarised(text).flags
    assert {f.detector for f in found} <= {"repeat-target", "vague-reason"}
    assert {f.subject for f in found if f.detector == "repeat-target"} == {"8HER123", "7EXX987"}
    assert all("several members" in f.explanation for f in found)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("11/3/2025, 2:05:09 PM PST", "2025-11-03T22:05:09+00:00"),
        ("11/3/2025, 2:05:09\u202fPM", "2025-11-03T22:05:09+00:00"),
        ("7/3/2025 2:05 p.m.", "2025-07-03T21:05:00+00:00"),
        ("07/03/25 14:05", "2025-07-03T21:05:00+00:00"),
        ("7/3/2025 14:05:06 PDT", "2025-07-03T21:05:06+00:00"),
        ("07/03/2025 12:05 AM", "2025-07-03T07:05:00+00:00"),
        ("2025-07-03T14:05:06Z", "2025-07-03T14:05:06+00:00"),
        ("2025-07-03 14:05:06.123456-07:00", "2025-07-03T21:05:06+00:00"),
        ("2025-07-03 14:05:06 UTC", "2025-07-03T14:05:06+00:00"),
        ("Jul 3, 2025, 2:05:06 PM", "2025-07-03T21:05:06+00:00"),
        ("Thursday, July 3, 2025 at 2:05 PM EDT", "2025-07-03T18:05:00+00:00"),
        ("1751551506", "2025-07-03T14:05:06+00:00"),
        ("1751551506000", "2025-07-03T14:05:06+00:00"),
    ],
)  # fmt: skip
def test_times_as_they_are_written(text: str, instant: str) -> None:
    assert parse_time(text, PACIFIC).isoformat() == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "13/13/2025 1:00",
        "2/29/2025",
        "soon",
        "11/3/2025 14:05 PM",
        "11/3/2025 25:00",
        "11/3/2025 1:00 XYZ",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|zone"):
        parse_time(text, PACIFIC)


@pytest.mark.parametrize(
    ("text", "days"),
    [("30 days", 30), ("Last 7 days", 7), ("2 weeks", 14), ("24 hours", 1), ("01/02/2026 - 02/01/2026", 30), ("", 0), ("whenever", 0),
     ("2026-01-02 to 2026-01-05", 3)],
)  # fmt: skip
def test_widths_of_windows(text: str, days: float) -> None:
    assert span_days(text) == days


@given(st.binary(max_size=3000), st.integers(1, 400))
def test_garbage_is_refused_or_counted_never_a_crash(garbage: bytes, chunk: int) -> None:
    head = HEADER.encode() + b"\n"
    try:
        reader = read(head + garbage, chunk=chunk)
    except VendorError:
        return
    assert len(list(reader.looks())) + reader.malformed_rows >= 0
    reader.close()


def test_the_command_reads_a_file_without_any_service(tmp_path: Path) -> None:
    export, out = tmp_path / "audit.csv", tmp_path / "report.html"
    export.write_text("\n".join(stalker()), encoding="utf-8-sig")
    result = CliRunner().invoke(app, ["audit", "import-vendor", str(export), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "779 rows read, 0 of them could not be read" in result.output
    assert "B. Stone" in out.read_text(encoding="utf-8")
    for arguments, told in (
        (["--zone", "Mars/Base"], "America/Los_Angeles"),
        (["--format", "x"], "flock-network-audit"),
        (["--out", "r.docx"], ".html"),
    ):
        refused = CliRunner().invoke(app, ["audit", "import-vendor", str(export), *arguments])
        assert refused.exit_code == 2
        assert told in refused.output
