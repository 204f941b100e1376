"""Puts ``audit`` together: the only place that constructs things."""

from __future__ import annotations

import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plateward.audit.v1 import audit_pb2
from servicekit.crypto import load_or_create_key
from servicekit.database import migrate, open_pool
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from services.audit.model import Sealer
from services.audit.rpc import AuditServicer
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store
from tlog.note import SignerKey


def load_or_create_log_key(path: Path, origin: str) -> SignerKey:
    """Return the log's signing key; make it, readable by its owner only, when the file is missing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return SignerKey.parse(path.read_text(encoding="utf-8").strip())
    key = SignerKey.generate(origin)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key.encode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


@asynccontextmanager
async def wire(settings: AuditSettings, kit: Kit) -> AsyncIterator[Wired]:
    """Open the database, become the sequencer; let go at the end."""
    master = load_or_create_key(settings.master_key_file)
    key = load_or_create_log_key(settings.log_key_file, settings.origin)
    pool = await open_pool(settings)
    sealer, store = Sealer(master), Store(pool)
    sequencer = Sequencer(settings, sealer, key, store)
    try:
        await migrate(pool, "services.audit")
        await sequencer.open()
        await sequencer.first_checkpoint()
        kit.spawn(sequencer.run(), "sequencer")
        page_key = hmac.digest(master, b"plateward-audit-pages", "sha256")
        servicer = AuditServicer(sequencer, store, sealer, page_key, kit.clock)
        yield Wired(servicer=servicer, audit=sequencer, decider=kit.remote_decider())
    finally:
        await sequencer.close()
        await pool.close()


SERVICE = Service(
    name="audit",
    descriptor=audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
    settings=AuditSettings,
    wire=wire,
)
