"""A connection folder that is not right says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.connection import FILE, Connection, ConnectionFileError


def test_a_missing_folder_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFileError, match="plateward up"):
        Connection.load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"targets": {}}', "null"])
def test_a_damaged_file_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConnectionFileError, match="damaged"):
        Connection.load(tmp_path)


def test_unknown_names_are_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        '{"targets": {"reads": "127.0.0.1:1"}, "ca": "ca.pem", "clients": {"portal": {}}}'
    )
    connection = Connection.load(tmp_path)
    with pytest.raises(ConnectionFileError, match="'nothing'"):
        connection.channel("nothing")
    with pytest.raises(ConnectionFileError, match="it has portal"):
        connection.channel("reads", "stranger")
    with pytest.raises(ConnectionFileError, match="nobody is signed in here: plateward login"):
        connection.token("m-1042")
    assert connection.receipts_dir == tmp_path / "receipts"
