"""Passwords: argon2id (RFC 9106), checked in a thread, at the same cost whether or not there is an account."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from clients.issuer.store import Account, IssuerStore

# NIST SP 800-63B-4: length counts, rules of composition do not.
LEAST_LENGTH, MOST_LENGTH = 15, 128
_AT_ONCE = 4
# What everybody types first; a real list of breached passwords is the agency's to give.
_POPULAR = (
    "password",
    "passwort",
    "qwertyuiop",
    "1234567890",
    "elkgrove",
    "plateward",
    "iloveyou",
    "letmein",
)


class PasswordError(Exception):
    """The password cannot be taken; the message says why."""


class Passwords:
    """Sets and checks passwords."""

    def __init__(self, store: IssuerStore) -> None:
        self._store = store
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash("nobody has this password")
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def check_new(self, password: str, account: Account) -> None:
        """Refuse a password that is short or easily guessed.

        Raises:
            PasswordError: with what to do.
        """
        if not LEAST_LENGTH <= len(password) <= MOST_LENGTH:
            raise PasswordError(
                f"take {LEAST_LENGTH} to {MOST_LENGTH} characters: a sentence is easy to keep in mind"
            )
        plain = password.lower()
        guesses = (*_POPULAR, account.member_id.lower(), *account.name.lower().split())
        for guess in guesses:
            plain = plain.replace(guess, "") if len(guess) > 3 else plain
        if len(set(plain)) < 6:
            raise PasswordError("this is guessed quickly: leave out names, repeats and what everybody types")

    async def set(self, account: Account, password: str) -> None:
        """Set a password.

        Raises:
            PasswordError: it is short or easily guessed.
        """
        self.check_new(password, account)
        async with self._gate:
            hashed = await asyncio.to_thread(self._hasher.hash, password)
        self._store.run(
            "UPDATE accounts SET password_hash = ? WHERE member_id = ?", hashed, account.member_id
        )

    async def matches(self, account: Account | None, password: str) -> bool:
        """Return whether this is the account's password; takes as long where there is none."""
        known = account is not None and bool(account.password_hash) and not account.disabled
        hashed = account.password_hash if known and account is not None else self._nobody
        async with self._gate:
            good = await asyncio.to_thread(self._verify, hashed, password[:MOST_LENGTH])
        return good and known

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False
