"""What ``plateward search`` asks for, and how it goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from clients.cli import search as command
from clients.cli.main import app
from plateward.common.v1 import recognition_pb2
from plateward.reads.v1 import reads_pb2

ALWAYS = (
    "--offence",
    "vehicle-theft",
    "--case",
    "26-004312",
    "--reason",
    "silver Accord taken from Laguna Blvd",
)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[reads_pb2.SearchReadsRequest]:
    requests: list[reads_pb2.SearchReadsRequest] = []
    monkeypatch.setattr(command, "make_search", lambda *asked: requests.append(asked[-1]))
    return requests


def asked(*words: str) -> Any:
    return CliRunner().invoke(app, ["search", *words, *ALWAYS])


@pytest.mark.req("R-SRC-1")
def test_a_search_names_an_area_a_type_and_a_colour(made: list[reads_pb2.SearchReadsRequest]) -> None:
    ended = asked("", "--near", "38.4088,-121.3716,800", "--vehicle-type", "truck", "--colour", "red")
    assert ended.exit_code == 0, ended.output
    [request] = made
    assert (request.plate, request.area.circle.radius_m, request.area.circle.centre.latitude) == (
        "",
        800,
        38.4088,
    )
    assert (request.vehicle_type, request.colour) == (recognition_pb2.VEHICLE_TYPE_TRUCK, "red")
    assert asked("", "--near", "downtown").exit_code == 2
    assert asked("", "--vehicle-type", "spaceship").exit_code == 2


@pytest.mark.req("R-SRC-1")
def test_the_next_page_is_the_same_search_at_the_times_of_the_first(
    made: list[reads_pb2.SearchReadsRequest],
) -> None:
    assert asked("7K*", "--since", "12h").exit_code == 0
    told = command.more(made[0], "dG9rZW4=")
    words = told.partition("the same search and ")[2].split()
    assert words[-2:] == ["--page", "dG9rZW4="]
    assert asked("7K*", *words).exit_code == 0
    first, second = made
    assert second.page.token == "dG9rZW4="
    for request in made:
        request.ClearField("page")
    assert second == first
    assert datetime.fromisoformat(words[1]).tzinfo == UTC
