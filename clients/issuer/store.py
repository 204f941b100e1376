"""What the issuer keeps: accounts, second factors, failed tries, sessions and signing keys, in one SQLite file.

Rules
-----
1. The file is its owner's alone; passwords are argon2id hashes, tokens are SHA-256 hashes, secrets are sealed with a key that
   lies beside the file, so that a copy of the database signs nobody in.
2. A step that reads and then writes does so in one immediate transaction.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from servicekit.crypto import load_or_create_key, open_sealed, seal


@dataclass(frozen=True, slots=True)
class Account:
    """A member who may sign in."""

    member_id: str
    agency_id: str
    name: str
    federal: bool
    password_hash: str
    disabled: bool
    has_totp: bool
    passkeys: int


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in that goes on."""

    session_hash: bytes
    member_id: str
    amr: tuple[str, ...]
    signed_in_at: float
    last_used_at: float


def token_hash(token: str) -> bytes:
    """Return what is kept of a random token."""
    return hashlib.sha256(token.encode()).digest()


class IssuerStore:
    """The SQLite file of one issuer."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "issuer.sqlite"
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        self._key = load_or_create_key(folder / "issuer-seal.key")
        # Autocommit: transactions are begun by hand (rule 2).
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._db.executescript((files("clients.issuer") / "schema.sql").read_text(encoding="utf-8"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Do what is inside in one transaction, alone."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def one(self, query: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        row: sqlite3.Row | None = self._db.execute(query, values).fetchone()
        return row

    def all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        return self._db.execute(query, values).fetchall()

    def run(self, statement: str, *values: Any) -> int:
        """Run a statement; return how many rows it changed."""
        return self._db.execute(statement, values).rowcount

    def seal(self, secret: bytes, label: str) -> bytes:
        """Return a secret sealed; it opens under the same label only."""
        return seal(self._key, secret, label.encode())

    def unseal(self, sealed: bytes, label: str) -> bytes:
        """Return a secret that was sealed.

        Raises:
            servicekit.crypto.UnsealError: another key or label, or it was altered.
        """
        return open_sealed(self._key, sealed, label.encode())

    # --------------------------------------------------------------- accounts

    def add_account(self, member_id: str, agency_id: str, name: str, *, federal: bool, now: float) -> None:
        """Add an account without password and second factor, or change name, agency and task force of one."""
        self.run(
            "INSERT INTO accounts (member_id, agency_id, name, federal, created_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (member_id) DO UPDATE SET agency_id = excluded.agency_id, name = excluded.name, federal = excluded.federal",
            member_id, agency_id, name, int(federal), now,
        )  # fmt: skip

    def account(self, member_id: str) -> Account | None:
        """Return an account, or None."""
        row = self.one(
            "SELECT a.*, (SELECT count(*) FROM passkeys p WHERE p.member_id = a.member_id) AS passkeys "
            "FROM accounts a WHERE member_id = ?",
            member_id,
        )
        return None if row is None else _account(row)

    def accounts(self) -> list[Account]:
        """Return all accounts, by ID."""
        rows = self.all(
            "SELECT a.*, (SELECT count(*) FROM passkeys p WHERE p.member_id = a.member_id) AS passkeys "
            "FROM accounts a ORDER BY member_id"
        )
        return [_account(row) for row in rows]

    # --------------------------------------------------------------- sessions

    def session(self, session: bytes) -> Session | None:
        """Return a session that was not ended, of an account that is not disabled; how old it is, the caller judges."""
        row = self.one(
            "SELECT s.* FROM sessions s JOIN accounts a USING (member_id) WHERE session_hash = ? AND ended = 0 AND disabled = 0",
            session,
        )
        if row is None:
            return None
        return Session(
            row["session_hash"],
            row["member_id"],
            tuple(row["amr"].split()),
            row["signed_in_at"],
            row["last_used_at"],
        )

    def end_session(self, session: bytes) -> None:
        """End a session: its refresh tokens are refused from now on."""
        self.run("UPDATE sessions SET ended = 1 WHERE session_hash = ?", session)

    def disable(self, member_id: str, *, disabled: bool) -> bool:
        """Switch an account off, ending its sessions, or on again; return whether there is one."""
        with self.at_once():
            found = (
                self.run("UPDATE accounts SET disabled = ? WHERE member_id = ?", int(disabled), member_id) > 0
            )
            self.run("UPDATE sessions SET ended = 1 WHERE member_id = ?", member_id)
        return found


def _account(row: sqlite3.Row) -> Account:
    return Account(
        row["member_id"], row["agency_id"], row["name"], bool(row["federal"]), row["password_hash"], bool(row["disabled"]),
        bool(row["totp_sealed"]), row["passkeys"],
    )  # fmt: skip
