"""What is on no list, and what never leads to a stop: by file and by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plateward.common.v1 import errors_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit.errors import PlatewardError
from services.hotlist.issuers import issuer
from services.hotlist.limits import is_denied, never_a_stop
from services.hotlist.mapping import DroppedError, source
from services.hotlist.settings import HotlistSettings
from tests.unit.hotlist.builders import AGENCY, HEADER, NOW, entry, ncic, read

FILED = f"FILE,{HEADER}"
LEAD, STOP = hit_pb2.MAX_ACTION_LEAD, hit_pb2.MAX_ACTION_STOP


def mapped(line: str, header: str = HEADER, name: str = "ncic", **trust: bool):
    taken = source(name)
    return taken.row(taken.header(header), line, NOW, 30, **trust)


@pytest.mark.req("R-ACC-3")
@pytest.mark.parametrize(
    "text",
    [
        "IMMIGRATION VIOLATION", "Immigration Violators", "ICE WARRANT", "ICE WARRANT.", "ICE WARRANT, HOLD", "ice_detainer", "ICE-HOLD",
        "I.C.E. hold", "I. C. E.", "1CE warrant", "\u0406\u0421\u0415 hold", "hold for ICE", "ICE-2026-0042", "administrative warrant",
        "ADMIN. WARRANT", "removal order", "order of removal", "deported felon", "CBP lookout", "INA", "INA 287(g)", "8 U.S.C. 1326",
        "alien file A123", "A-FILE", "I-247A on file", "DHS detainer", "usimmigration",
    ],
)  # fmt: skip
def test_immigration_is_found_however_it_is_written(text) -> None:
    assert is_denied(["EW", text])


@pytest.mark.req("R-ACC-3")
@pytest.mark.parametrize(
    "text",
    [
        "ICE CREAM TRUCK", "POLICE", "NOTICE", "stolen on black ice", "armed with ice pick", "SERVICE VEHICLE", "owner notified",
        "ZERO", "SNOW REMOVAL TRUCK", "search warrant", "felony hold", "CLUB DEPORTIVO", "CHINA", "26-004312", "alien sticker on bumper",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_stays(text) -> None:
    assert not is_denied([text])


@pytest.mark.req("R-ACC-3")
@pytest.mark.req("R-HOT-1")
@pytest.mark.parametrize(
    ("filed", "row"),
    [
        ("Wanted Person", ncic("8ABC123", "EW", note="IMMIGRATION VIOLATION")),
        ("Wanted Person", ncic("8ABC123", "EW", note="ICE WARRANT.")),
        ("Wanted Person", ncic("8ABC123", "EW", note='"ICE WARRANT, HOLD"')),
        # Half a quotation: the row is malformed, and what it is about still counts.
        ("Wanted Person", ncic("8ABC123", "EW", note='"ICE WARRANT')),
        ("Wanted Person", ncic("8ABC123", "EW", note="ICE, WARRANT, HOLD")),
        ("Immigration Violator", ncic("8ABC123", "EV")),
        ("Immigration Violators", ncic("8ABC123", "")),
        ("IMMIGRATION-VIOLATOR FILE", ncic("8ABC123", "EW")),
        ("Wanted Person", ncic("8ABC123", "E-IV")),
        ("Wanted Person", ncic("8ABC123", "EIV") + ","),
        ("Wanted Person", ncic("8ABC123", "EW").replace("CA0341000", "ICE")),
        ("Wanted Person", ncic("8ABC123", "EW").replace("26-1", "ICE-2026-0042")),
    ],
)  # fmt: skip
async def test_no_immigration_row_of_an_extract_ever_matches(take, raised, filed, row) -> None:
    answer = await take(f"{filed},{row}", header=FILED)
    assert dict(answer.dropped) == {"immigration": 1}
    assert await raised(read()) == []


def test_a_cell_that_goes_over_lines_hides_nothing() -> None:
    """MIS as the last column: what stands behind a break in it belongs to it."""
    header = HEADER.removesuffix(",OAN")
    whole = ncic("8ABC123", "EW", note='"armed').removesuffix(",")
    with pytest.raises(DroppedError, match="malformed"):
        mapped(whole, header)
    with pytest.raises(DroppedError, match="immigration"):
        mapped('ICE WARRANT"', header)


async def test_a_column_that_is_there_twice_hides_nothing(take) -> None:
    with pytest.raises(PlatewardError, match="twice"):
        await take(f"IV,{ncic('8ABC123')}", header=f"MKE,{HEADER}")


async def test_a_plate_that_spells_a_word_is_a_plate(take, raised) -> None:
    assert (await take(ncic("ICE"), ncic("CBP1"))).added == 2
    [hit] = await raised(read("ICE"))
    assert hit.entry.plate == "ICE"


@pytest.mark.req("R-ACC-3")
@pytest.mark.parametrize(
    "fields",
    [
        {"category": "immigration-violator"}, {"category": "ice"}, {"reason": "ICE WARRANT"}, {"reason": "immigration violation"},
        {"case_number": "ICE-2026-0042"},
    ],
)  # fmt: skip
async def test_no_member_enters_a_plate_for_immigration(entries, fields) -> None:
    wanted = entry(**fields)
    with pytest.raises(PlatewardError, match="immigration law") as refused:
        await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    assert refused.value.reason == errors_pb2.ERROR_REASON_DENIED_BY_POLICY
    assert (await entries.page([AGENCY], "", "", 10))[0] == []


@pytest.mark.req("R-HOT-1")
@pytest.mark.parametrize(
    "category",
    ["stored-vehicle", "Stored", "IMPOUNDED VEHICLE", "repossessed_vehicle", "repo", "lost-plate", "towed"],
)
async def test_no_member_enters_a_stop_for_what_never_leads_to_one(entries, category) -> None:
    wanted = entry(category=category)
    with pytest.raises(PlatewardError, match="never a reason to stop") as refused:
        await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    assert refused.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    wanted.max_action = LEAD
    made = await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    assert made.max_action == LEAD


@pytest.mark.req("R-HOT-1")
async def test_what_stood_there_before_the_rules_is_held_to_them(entries, pool, raised) -> None:
    """A release that brings a rule finds entries that were made without it."""
    wanted = entry()
    await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    async with pool.connection() as connection:
        await connection.execute("UPDATE entries SET reason = 'ICE WARRANT'")
    with pytest.raises(PlatewardError, match="immigration law"):
        await entries.approve(wanted.entry_id, [AGENCY], "m-1077")
    async with pool.connection() as connection:
        await connection.execute("UPDATE entries SET reason = 'tow yard', category = 'stored-vehicle'")
    with pytest.raises(PlatewardError, match="never a reason to stop"):
        await entries.approve(wanted.entry_id, [AGENCY], "m-1077")
    async with pool.connection() as connection:
        await connection.execute("UPDATE entries SET approved_by = 'm-1077', in_force_since = 2")
        await connection.execute("UPDATE entries_version SET version = 2")
    [hit] = await raised(read())
    assert hit.max_action == LEAD


@pytest.mark.req("R-ACC-3")
async def test_a_break_inside_of_a_cell_hides_nothing(take) -> None:
    """Only a newline ends a row: a separator of another kind would cut a note off from what it goes on to say."""
    header = HEADER.removesuffix(",OAN")
    rows = [
        ncic(f"8ABC12{n}", "EW", note=f"armed{mark}ICE WARRANT").removesuffix(",")
        for n, mark in enumerate(("\u2028", "\x0b", "\x0c", "\x85"))
    ]
    answer = await take(*rows, header=header)
    assert (dict(answer.dropped), answer.added) == ({"immigration": 4}, 0)


def test_a_stolen_vehicle_may_be_stopped() -> None:
    assert not any(
        never_a_stop(c) for c in ("stolen-vehicle", "stolen-plate", "felony-vehicle", "restored-car")
    )


@pytest.mark.req("R-HOT-1")
@pytest.mark.parametrize(
    ("filed", "code"),
    [("Vehicle", "ES"), ("Vehicle", "ER"), ("Vehicle", "EI"), ("License Plate", "ELP"), ("Repossessed", "EV"), ("Gang", "EV")],
)  # fmt: skip
async def test_the_code_that_allows_least_counts(take, raised, filed, code) -> None:
    await take(f"{filed},{ncic('8ABC123', code)}", header=FILED)
    [hit] = await raised(read())
    assert hit.max_action < STOP
    assert hit.entry.category not in ("stolen-vehicle", "stolen-plate")


@pytest.mark.req("R-HOT-1")
async def test_a_code_that_nobody_decided_about_drops_the_row_whatever_the_file_is(take) -> None:
    rows = [("Vehicle", "ZZ"), ("Unheard Of", "EV"), ("Vehicle", "EV"), ("", "EV"), ("Vehicle", "")]
    answer = await take(
        *(f"{filed},{ncic(f'8ABC12{n}', code)}" for n, (filed, code) in enumerate(rows)), header=FILED
    )
    assert (dict(answer.dropped), answer.added) == ({"unknown code": 2}, 3)


@pytest.mark.req("R-HOT-1")
async def test_only_a_list_that_the_operator_names_is_an_official_extract(take, raised, entries) -> None:
    await take(ncic("8ABC123"), list_id="my-own")
    [hit] = await raised(read())
    assert hit.max_action == LEAD
    [mine] = (await entries.page([AGENCY], "my-own", "", 10))[0]
    assert mine.max_action == LEAD
    assert mine.expires_at.ToDatetime() == (NOW + timedelta(days=30)).replace(tzinfo=None)
    await take(ncic("7ABC123"), list_id="ncic-vehicle")
    [official] = await raised(read("7ABC123"))
    assert official.max_action == STOP


def test_the_operators_lists_are_a_setting() -> None:
    field = HotlistSettings.model_fields["official_lists"]
    assert set(field.default) == {"ncic", "ncic-vehicle", "ncic-plate"}


@pytest.mark.req("R-HOT-1")
@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("CA", "US-CA"), ("us-ca", "US-CA"), ("California", "US-CA"), ("ON", "CA-ON"), ("PQ", "CA-QC"), ("CA-BC", "CA-BC"), ("ZZ", ""),
        ("US-ZZ", ""), ("CA-ZZ", ""), ("NB", ""), ("", ""), ("unknown", ""), ("MX-BCN", "MX-BCN"), ("US", "US"), ("XX", ""), ("US-", ""),
    ],
)  # fmt: skip
def test_an_issuer_is_known_or_unknown_never_guessed(text, known) -> None:
    assert issuer(text) == known


@pytest.mark.req("R-HOT-1")
async def test_a_province_is_none_of_the_united_states(take, raised, entries) -> None:
    await take(ncic("8ABC123", state="ON"))
    [hit] = await raised(read(state="CA-ON"))
    assert (hit.entry.state, hit.max_action) == ("CA-ON", STOP)
    wanted = entry(state="ZZ")
    with pytest.raises(PlatewardError, match="no issuing state"):
        await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    wanted.state = "CA"
    made = await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    assert made.state == "US-CA"


@pytest.mark.req("R-HOT-2")
async def test_a_vehicle_is_cleared_under_a_state_of_two_letters(take, raised, lists) -> None:
    await take(ncic("8ABC123"))
    [hit] = await raised(read("BABC123", confidences=[0.5] + [0.9] * 6))
    request = hotlist_pb2.ClearVehicleRequest(
        entry_id=hit.entry.entry_id, plate="BABC123", state="CA", reason="stopped in error"
    )
    await lists.clear(request, [AGENCY], AGENCY, "m-1042")
    [again] = await raised(read("BABC123", confidences=[0.5] + [0.9] * 6))
    assert again.rejection == hit_pb2.REJECTION_CLEARED
    request.state = "ZZ"
    with pytest.raises(PlatewardError, match="no issuing state"):
        await lists.clear(request, [AGENCY], AGENCY, "m-1042")
