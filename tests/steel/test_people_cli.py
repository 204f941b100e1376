"""The commands about members, agreements, releases and approvals, as people type them, against running services."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.cli.main import app
from clients.devkit.stack import Stack

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
REFUSED = 3


@pytest.fixture
def plateward(stack: Stack, stack_root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "170")

    def run(*words: str, ends: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, "--connect", str(stack_root)])
        assert result.exit_code == ends, f"{words}: {result.output}"
        return result.output

    return run


@pytest.mark.req("R-ACC-4")
@pytest.mark.req("R-ACC-9")
def test_members(plateward) -> None:
    assert "is new" in plateward("members", "put", "m-5001", ends=2)
    made = plateward(
        "members", "put", "m-5001", "--name", "Ofc. Kay Lin", "--title", "patrol-officer", "--role", "officer"
    )
    assert "account active" in made
    assert "of the audit log" in made
    assert "until" in plateward("members", "train", "m-5001", "--until", "300")
    assert "365 days" in plateward("members", "train", "m-5001", "--until", "900", ends=REFUSED)
    assert "suspended" in plateward("members", "suspend", "m-5001")
    search = ("search", "7K*", "--offence", "vehicle-theft", "--case", "26-004312", "--member", "m-5001",
              "--reason", "silver Accord taken from Laguna Blvd at 03:10")  # fmt: skip
    refused = plateward(*search, ends=REFUSED)
    assert "agency.account-inactive" in refused
    assert "plateward members open" in refused
    plateward("members", "open", "m-5001")
    plateward(*search)
    assert "agency.own-membership" in plateward("members", "open", "m-3001", ends=REFUSED)
    assert "there is no m-9999" in plateward("members", "open", "m-9999", ends=2)
    assert "Kay Lin" in plateward("members", "list")


@pytest.mark.req("R-SHR-1")
def test_agreements(plateward) -> None:
    asking = ("agreements", "request", "elk-grove-pd", "--why", "Stolen vehicles that leave along Highway 99",
              "--until", str(date.today() + timedelta(days=200)), "--days-back", "7", "--offence", "vehicle-theft")  # fmt: skip
    assert "attest" in plateward(*asking, ends=REFUSED)
    asked = plateward(*asking, "--attest-onward-use")
    agreement = ID.findall(asked)[0]
    assert f"plateward agreements approve {agreement}" in asked.replace("\n", " ")
    assert agreement in plateward("agreements", "list", "--state", "requested"), "IDs are there to be copied"
    assert "platform.role" in plateward(
        "agreements", "approve", agreement, "--reason", "regional", "--member", "m-3001", ends=REFUSED
    )
    assert ": active" in plateward("agreements", "approve", agreement, "--reason", "regional theft")
    assert ": revoked" in plateward("agreements", "revoke", agreement, "--reason", "passed on")
    assert "wrong-state" in plateward("agreements", "revoke", agreement, "--reason", "again", ends=REFUSED)
    assert "ca.sb34-federal" in plateward(
        *asking, "--attest-onward-use", "--member", "ice-1", "--identity", "ice-ero", ends=REFUSED
    )
    elsewhere = plateward("agreements", "register", "sparks-pd", "--name", "Sparks PD", "--kind", "local",
                          "--state", "US-NV", ends=REFUSED)  # fmt: skip
    assert "AGENCY_KIND_OUT_OF_STATE" in elsewhere
    assert "is no day" in plateward(*asking[:6], "next year", *asking[7:], ends=2)


@pytest.mark.req("R-SHR-3")
@pytest.mark.req("R-SHR-4")
def test_releases(plateward, tmp_path: Path) -> None:
    plateward("agreements", "register", "yolo-da", "--name", "Yolo County District Attorney",
              "--kind", "prosecutor", "--state", "US-CA")  # fmt: skip
    filed = plateward("releases", "file", "--agency", "Yolo County DA", "--agency-id", "yolo-da", "--requester", "DDA Maya Park",
                      "--purpose", "People v. Marsh, 26FE004312: presence at the scene")  # fmt: skip
    release = ID.findall(filed)[0]
    package = tmp_path / "package.zip"
    package.write_bytes(b"what was handed over")
    assert "wrong-state" in plateward("releases", "fulfil", release, "--package", str(package), ends=REFUSED)
    assert ": approved" in plateward("releases", "approve", release, "--reason", "subpoena on file")
    given = plateward("releases", "fulfil", release, "--package", str(package))
    assert "SHA-256" in given
    routed = plateward("releases", "file", "--agency", "The Citizen", "--requester", "R. Writer",
                       "--purpose", "a story about cameras", "--other")  # fmt: skip
    assert "routed to Records release" in routed
    other = ID.findall(routed)[0]
    assert "wrong-state" in plateward(
        "releases", "refuse", other, "--reason", "not law enforcement", ends=REFUSED
    )
    assert release in plateward("releases", "list", "--state", "fulfilled")


@pytest.mark.req("R-ACC-1")
def test_approvals(plateward) -> None:
    wide = ("search", "7K*", "--offence", "vehicle-theft", "--case", "26-004312", "--since", "45d",
            "--reason", "silver Accord taken from Laguna Blvd at 03:10")  # fmt: skip
    assert "--ask-approval" in plateward(*wide, ends=REFUSED)
    approval = ID.findall(plateward(*wide, "--ask-approval"))[0]
    shown = plateward("approvals", "list")
    assert approval in shown
    assert "plate 7K*" in shown
    plateward("approvals", "search", approval, ends=REFUSED)
    assert "Granted" in plateward("approvals", "grant", approval)
    assert "Allowed" in plateward("approvals", "search", approval)
    assert "agency.second-person" in plateward("approvals", "search", approval, ends=REFUSED)
    assert "there is no approval" in plateward("approvals", "search", "nonsense", ends=2)
    other = ID.findall(plateward(*wide, "--ask-approval"))[0]
    assert "Refused to m-1042" in plateward("approvals", "refuse", other, "--reason", "three-days-do")
    assert "three-days-do" in plateward("approvals", "list")
    assert "granted or refused before" in plateward("approvals", "grant", other, ends=REFUSED)
    plateward("approvals", "search", other, ends=REFUSED)


@pytest.mark.req("R-HOT-1")
def test_entries(plateward) -> None:
    add = (
        "entries",
        "add",
        "8zzz999",
        "--category",
        "stolen-vehicle",
        "--reason",
        "taken from a driveway on Laguna Blvd",
        "--case",
        "26-004312",
    )
    assert "is none of car" in plateward(*add, "--vehicle", "spaceship", ends=2)
    entry = ID.search(plateward(*add, "--vehicle", "car", "--state", "US-CA"))[0]
    assert "nobody yet" in plateward("entries", "list")
    assert "second person" in plateward("entries", "approve", entry, "--member", "m-1042", ends=REFUSED)
    assert "8ZZZ999 is looked for" in plateward("entries", "approve", entry)
    assert "m-1077" in plateward("entries", "list")
    assert "removed" in plateward("entries", "remove", entry, "--reason", "vehicle recovered")
    assert entry not in plateward("entries", "list")
