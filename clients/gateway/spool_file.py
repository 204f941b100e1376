"""The file of a spool: opened, brought to its present form, its bodies sealed at rest.

Rules
-----
1. Bodies (plate and pictures) are sealed with AES-256-GCM under a key of the spool's own, bound to the sighting's ID. The key is
   made on the first start, mode 0600, beside the spool as ``<name>.key`` unless it is told to lie elsewhere. Who takes disk and
   key has both: put the key on another device where the gateway can be stolen.
2. A spool that an earlier version left in clear is sealed when it is opened, and what was in clear is overwritten.
3. What is deleted is overwritten (``secure_delete``).
4. A key that is not the spool's own is refused: nothing is written that could not be read again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from servicekit.crypto import load_or_create_key, seal

TOO_OLD = "ERROR_REASON_TIME_OUT_OF_RANGE"
TOO_OLD_TOLD = (
    "retention keeps it no longer: it was not stored, and its plate and pictures were let go of here too"
)
_FORM = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rejected (
  id TEXT PRIMARY KEY, reason TEXT NOT NULL, message TEXT NOT NULL, body BLOB NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value NOT NULL);
"""
_PRAGMAS = ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")


class SpoolError(Exception):
    """The spool cannot be used; the message says what to do."""


def open_file(file: Path, key_file: Path | None) -> tuple[sqlite3.Connection, bytes]:
    """Open the file of a spool, or make it; return it with its key.

    Raises:
        SpoolError: the file is no spool, another gateway uses it, or the key is not its own.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(file, timeout=2.0, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            database.execute(f"PRAGMA {pragma}")
        database.executescript(_SCHEMA)
        file.chmod(0o600)
        return database, _sealed(database, file, key_file or file.with_name(f"{file.name}.key"))
    except sqlite3.DatabaseError as error:
        database.close()
        in_use = isinstance(error, sqlite3.OperationalError)
        todo = "end the other gateway of this camera" if in_use else "move it away and start again"
        raise SpoolError(f"{file} cannot be used ({error}): {todo}") from error
    except SpoolError:
        database.close()
        raise


def _sealed(database: sqlite3.Connection, file: Path, key_file: Path) -> bytes:
    found = database.execute("SELECT value FROM facts WHERE name = 'key'").fetchone()
    if found is not None and not key_file.exists():
        raise SpoolError(
            f"{file} is sealed and its key {key_file} is not there: restore the key, or move the spool away and start again"
        )
    try:
        key = load_or_create_key(key_file)
    except (OSError, ValueError) as error:
        raise SpoolError(f"{file} cannot be opened without its key: {error}") from error
    known_by = hashlib.sha256(b"plateward spool key" + key).hexdigest()
    if found is None:
        # The key must outlast the power as what it seals does.
        with suppress(OSError):
            folder = os.open(key_file.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        _upgrade(database, key, known_by)
    elif found[0] != known_by:
        raise SpoolError(
            f"{key_file} is not the key that {file} was sealed with: restore that one, or move the spool away and start again"
        )
    return key


def _upgrade(database: sqlite3.Connection, key: bytes, known_by: str) -> None:
    """Bring a spool of an earlier version, or a new one, to the present form."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(rejected)")}
    database.execute("BEGIN IMMEDIATE")
    for column in {"camera", "seen_at"} - columns:
        database.execute(f"ALTER TABLE rejected ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
    database.execute("UPDATE rejected SET body = x'', message = ? WHERE reason = ?", (TOO_OLD_TOLD, TOO_OLD))
    in_clear = 0
    for table in ("waiting", "rejected"):
        ids = [row[0] for row in database.execute(f"SELECT id FROM {table} WHERE body <> x''")]  # noqa: S608
        in_clear += len(ids)
        for sighting_id in ids:
            body = database.execute(f"SELECT body FROM {table} WHERE id = ?", (sighting_id,)).fetchone()[0]  # noqa: S608
            database.execute(
                f"UPDATE {table} SET body = ? WHERE id = ?",  # noqa: S608
                (seal(key, body, sighting_id.encode()), sighting_id),
            )
    database.execute("INSERT INTO facts VALUES ('key', ?), ('form', ?)", (known_by, _FORM))
    database.execute("COMMIT")
    if in_clear:
        database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
