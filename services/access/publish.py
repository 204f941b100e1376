"""Versions of the policy: proposed by one person, put in force by another, signed, kept.

Rules
-----
1. What is proposed is linted and run against its own published tables first; what fails is refused, clause by clause.
2. Nobody activates what they proposed (also a constraint of the table).
3. What is in force is loaded by the engine before the database says so: a version that the engine refuses never is.
4. A stored bundle is used only when its signature holds: whoever alters the database does not alter the policy.
5. The document of the settings holds until people publish one; a new release of the rules makes a new version of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from psycopg.rows import DictRow

from plateward.common.v1 import errors_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from services.access import conformance
from services.access.announce import announce
from services.access.bundles import pack, unpack
from services.access.decide import Core
from services.access.engines import RegopyEngine
from services.access.lint import lint
from services.access.policy import PolicyBundle, load_bundle

INSTALLATION = "installation"
PROPOSED, IN_FORCE, SUPERSEDED = "PROPOSED", "IN_FORCE", "SUPERSEDED"
_COLUMNS = "version, agency_id, bundle, state, proposed_by, proposed_by_name, proposed_at, activated_by, activated_by_name, activated_at"
_ONE = f"SELECT {_COLUMNS} FROM policies WHERE version = %s AND agency_id = %s"  # noqa: S608 - a list of columns
_CURRENT = f"SELECT {_COLUMNS} FROM policies WHERE state = 'IN_FORCE' LIMIT 1"  # noqa: S608 - a list of columns
_PAGE = f"""
SELECT {_COLUMNS} FROM policies WHERE agency_id = %s
  AND (%s::text IS NULL OR (proposed_at, version) < (SELECT proposed_at, version FROM policies WHERE version = %s))
ORDER BY proposed_at DESC, version DESC LIMIT %s
"""  # noqa: S608 - a list of columns
_PROPOSE = """
INSERT INTO policies (version, agency_id, bundle, state, proposed_by, proposed_by_name, proposed_at)
VALUES (%s, %s, %s, 'PROPOSED', %s, %s, %s)
ON CONFLICT (version) DO UPDATE SET state = 'PROPOSED', bundle = excluded.bundle, proposed_by = excluded.proposed_by,
  proposed_by_name = excluded.proposed_by_name, proposed_at = excluded.proposed_at, activated_by = '', activated_by_name = '',
  activated_at = NULL
WHERE policies.state <> 'IN_FORCE' RETURNING 1 AS done
"""
_RETIRE = "UPDATE policies SET state = 'SUPERSEDED' WHERE agency_id = %s AND state = 'IN_FORCE'"
_ACTIVATE = """
UPDATE policies SET state = 'IN_FORCE', activated_by = %s, activated_by_name = %s, activated_at = %s
WHERE version = %s AND agency_id = %s AND state = 'PROPOSED' AND proposed_by <> %s RETURNING 1 AS done
"""
_MOST_SHOWN = 20


class Publisher:
    """The table of versions, and the one that is in force."""

    def __init__(self, pool: Pool, key: ec.EllipticCurvePrivateKey, clock: Clock) -> None:
        self._pool = pool
        self._key = key
        self._clock = clock

    async def current(self) -> PolicyBundle | None:
        """Return the version in force as it was signed; None before the first start.

        Raises:
            BundleError: the stored bundle is not what was signed.
        """
        row = await self._first(_CURRENT, ())
        return unpack(bytes(row["bundle"]), self._key) if row else None

    async def begin(self, document: Callable[[], str]) -> PolicyBundle:
        """Return what is in force from the start on, by rule 5.

        Raises:
            BundleError: the stored bundle is not what was signed.
            PolicyError: the document cannot be used.
        """
        row = await self._first(_CURRENT, ())
        published = row is not None and row["proposed_by"] != INSTALLATION
        held = unpack(bytes(row["bundle"]), self._key) if row else None
        bundle = load_bundle(held.text if held and published else document())
        if held is None or held.version != bundle.version:
            now, agency = self._clock.now(), bundle.document["agency"]
            who = (
                (row["proposed_by"], row["proposed_by_name"])
                if row and published
                else (INSTALLATION, INSTALLATION)
            )
            async with self._pool.connection() as connection:
                await connection.execute("UPDATE policies SET state = 'SUPERSEDED' WHERE state = 'IN_FORCE'")
                await connection.execute(
                    _PROPOSE, (bundle.version, agency, pack(bundle, self._key), *who, now)
                )
                await connection.execute(
                    _ACTIVATE, (INSTALLATION, INSTALLATION, now, bundle.version, agency, "")
                )
        return bundle

    async def propose(self, text: str, subject: types_pb2.Subject) -> DictRow:
        """Check a document and keep it as a proposal; return its row.

        Raises:
            PlatewardError: INVALID_ARGUMENT with what the linter or the tables found; ALREADY_EXISTS when it is in force.
        """
        found = [f for f in lint(text) if f.refused]
        if found:
            raise _refused([(" ↔ ".join(f.clauses), f.message) for f in found])
        bundle = load_bundle(text)
        if bundle.document["agency"] != subject.agency_id:
            raise _refused(
                [("agency", f"the document is of {bundle.document['agency']!r}: propose your own agency's")]
            )
        faults = await _table_faults(bundle)
        if faults:
            raise _refused([("tables", fault) for fault in faults])
        done = await self._first(
            _PROPOSE,
            (
                bundle.version,
                subject.agency_id,
                pack(bundle, self._key),
                subject.member_id,
                subject.member_name,
                self._clock.now(),
            ),
        )
        if done is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_ALREADY_EXISTS,
                "this very document is in force already: change it, then propose it",
            )
        return await self.version(bundle.version, subject.agency_id)

    async def activate(
        self, version: str, subject: types_pb2.Subject, core: Core
    ) -> tuple[DictRow, PolicyBundle]:
        """Put a proposal in force as its second person; return its row and what was in force before.

        Raises:
            PlatewardError: NOT_FOUND; WRONG_STATE; DENIED_BY_POLICY for one's own; DECISION_UNAVAILABLE when the engine
                does not take it.
            BundleError: the stored bundle is not what was signed.
        """
        row = await self.version(version, subject.agency_id)
        if row["state"] != PROPOSED:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_WRONG_STATE,
                f"this version is {row['state'].lower().replace('_', ' ')}, not proposed: propose its document again first",
            )
        if row["proposed_by"] == subject.member_id:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                "nobody puts their own proposal in force: ask a second person who may change policy",
                metadata={"rule": "platform.two-persons"},
            )
        before, bundle = core.bundle, unpack(bytes(row["bundle"]), self._key)
        async with self._pool.connection() as connection:
            await connection.execute(_RETIRE, (subject.agency_id,))
            done = await connection.execute(
                _ACTIVATE,
                (
                    subject.member_id,
                    subject.member_name,
                    self._clock.now(),
                    version,
                    subject.agency_id,
                    subject.member_id,
                ),
            )
            if await done.fetchone() is None:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_WRONG_STATE,
                    "somebody else decided on this version meanwhile: list the versions",
                )
            await announce(connection, "policy", version, subject.agency_id)
            await core.put_in_force(bundle)
        return await self.version(version, subject.agency_id), before

    async def version(self, version: str, agency_id: str) -> DictRow:
        """Return the row of a version.

        Raises:
            PlatewardError: NOT_FOUND.
        """
        row = await self._first(_ONE, (version, agency_id))
        if row is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "your agency has no policy of this version: list the versions",
            )
        return row

    async def page(self, agency_id: str, after: str | None, limit: int) -> list[DictRow]:
        """Return versions of an agency, newest first."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(_PAGE, (agency_id, after, after, limit))).fetchall()

    def opened(self, row: DictRow) -> PolicyBundle:
        """Return the bundle of a row.

        Raises:
            BundleError: it is not what was signed.
        """
        return unpack(bytes(row["bundle"]), self._key)

    async def follow(self, core: Core) -> bool:
        """Take up what another replica has put in force; return whether there was something."""
        row = await self._first("SELECT version FROM policies WHERE state = 'IN_FORCE' LIMIT 1", ())
        if row is None or row["version"] == core.bundle.version:
            return False
        bundle = await self.current()
        if bundle is not None:
            await core.put_in_force(bundle)
        return True

    async def _first(self, query: str, values: Any) -> DictRow | None:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchone()


async def _table_faults(bundle: PolicyBundle) -> list[str]:
    engine = RegopyEngine()
    try:
        await engine.load(bundle)
        return (await conformance.faults(engine, conformance.published(bundle)))[1]
    except conformance.TableError as error:
        return [str(error)]
    finally:
        await engine.close()


def _refused(violations: list[tuple[str, str]]) -> PlatewardError:
    return PlatewardError(
        errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
        f"this policy cannot be published, {len(violations)} finding(s): plateward policy lint and plateward policy test show all",
        violations=violations[:_MOST_SHOWN],
    )
