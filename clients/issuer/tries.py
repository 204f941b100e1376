"""Failed tries: five, and the name is locked for ten minutes (CJIS Security Policy AC-7)."""

from __future__ import annotations

from clients.issuer.store import IssuerStore

MOST_TRIES = 5
LOCKED_S = 600.0


class Tries:
    """Counts failed tries by the name that was typed, password and second factor alike."""

    def __init__(self, store: IssuerStore) -> None:
        self._store = store

    def locked_for(self, member_id: str, now: float) -> float:
        """Return for how many seconds a name is still locked; 0 when it is not."""
        row = self._store.one("SELECT locked_until FROM attempts WHERE member_id = ?", member_id)
        return 0.0 if row is None else max(0.0, row["locked_until"] - now)

    def failed(self, member_id: str, now: float) -> bool:
        """Count a failed try; return whether the name is locked by it. What is older than the lock no longer counts."""
        with self._store.at_once():
            row = self._store.one("SELECT failures, last_at FROM attempts WHERE member_id = ?", member_id)
            recent = row is not None and now - row["last_at"] < LOCKED_S
            failures = (row["failures"] if row is not None and recent else 0) + 1
            locked = failures >= MOST_TRIES
            self._store.run(
                "INSERT INTO attempts (member_id, failures, last_at, locked_until) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (member_id) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at, locked_until = excluded.locked_until",
                member_id, 0 if locked else failures, now, now + LOCKED_S if locked else 0.0,
            )  # fmt: skip
        return locked

    def forget(self, member_id: str) -> bool:
        """Forget failed tries, after a success or by an administrator; return whether there were any."""
        return self._store.run("DELETE FROM attempts WHERE member_id = ?", member_id) > 0
