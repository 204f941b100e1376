"""Puts ``hotlist`` together: settings in, servicer out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from plateward.hotlist.v1 import hotlist_pb2
from servicekit.certificates import CertificateStore
from servicekit.crypto import load_or_create_key
from servicekit.database import migrate, open_pool
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from servicekit.waker import Waker
from services.hotlist.confirmations import Confirmations
from services.hotlist.destruction import Destruction, signing_key
from services.hotlist.entries import Entries
from services.hotlist.hits import Hits
from services.hotlist.importing import Importer
from services.hotlist.keeping import Keeping
from services.hotlist.lists import Lists
from services.hotlist.matcher import CHANNEL, Matcher
from services.hotlist.pictures import Pictures
from services.hotlist.rpc import HotlistServicer, Parts
from services.hotlist.rpc_lists import ListParts
from services.hotlist.settings import HotlistSettings
from services.hotlist.statistics import Statistics
from services.hotlist.streams import Streams
from services.hotlist.switch import HttpSwitch
from services.hotlist.webhooks import Webhooks


@asynccontextmanager
async def wire(settings: HotlistSettings, kit: Kit) -> AsyncIterator[Wired]:
    """Open the database and follow `reads`; close both at the end."""
    pool = await open_pool(settings)
    switch = (
        HttpSwitch(settings.switch_url, token_file=settings.switch_token_file)
        if settings.switch_url
        else None
    )
    try:
        await migrate(pool, "services.hotlist")
        hits = Hits(pool, kit.clock)
        waker = Waker(settings.database_url.get_secret_value(), CHANNEL)
        confirmations = Confirmations(
            pool, hits, switch, kit.remote_audit().append, kit.clock, new_id=kit.new_id, poll_s=settings.switch_poll_seconds
        )  # fmt: skip
        lists = Lists(pool, kit.clock)
        key = load_or_create_key(settings.key_file) if settings.key_file else None
        signer = signing_key(key) if key is not None else None
        reads = kit.channel(settings.reads_target)
        pictures = Pictures(pool, reads, kit.clock, key)
        parts = Parts(
            confirmations=confirmations,
            entries=Entries(pool, kit.clock, settings.entry_max_days),
            hits=hits,
            streams=Streams(hits, waker, kit.draining, settings.stream_poll_seconds),
            new_id=kit.new_id,
            of_lists=ListParts(
                Importer(pool, kit.clock, settings.entry_max_days, settings.official_lists),
                lists,
                Statistics(pool, kit.clock),
            ),
            pictures=pictures,
            certificates=CertificateStore(pool),
            release_after=timedelta(minutes=settings.claim_minutes),
            verifier_key=str(signer.verifier) if signer is not None else "",
        )
        webhooks = Webhooks(
            pool, hits, kit.remote_audit().append, kit.clock, key=key,
            allowed=settings.webhook_networks, ca=settings.webhook_ca,
        )  # fmt: skip
        keeping = Keeping(kit.channel(settings.access_target))
        destruction = Destruction(pool, kit.clock, keeping, reads, kit.remote_audit().append, signer)
        matcher = Matcher(pool, kit.clock, kit.new_id, settings.match_min_weight, keeping=keeping)
        kit.spawn(destruction.run(settings.destroy_interval_seconds), "destruction")
        kit.spawn(lists.watch(), "lists")
        kit.spawn(pictures.run(settings.stream_poll_seconds), "pictures")
        kit.spawn(waker.run(), "waker")
        kit.spawn(webhooks.run(settings.stream_poll_seconds), "webhooks")
        if switch is not None:
            kit.spawn(confirmations.run(), "confirmations")
        kit.spawn(matcher.run(reads), "matcher")
        yield Wired(
            servicer=HotlistServicer(parts, webhooks), audit=kit.remote_audit(), decider=kit.remote_decider()
        )
    finally:
        if switch is not None:
            await switch.close()
        await pool.close()


SERVICE = Service(
    name="hotlist",
    descriptor=hotlist_pb2.DESCRIPTOR.services_by_name["HotlistService"],
    settings=HotlistSettings,
    wire=wire,
)
