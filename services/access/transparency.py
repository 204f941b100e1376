"""The public page: what the policy in force says, who is let in, and live counts; no read, plate, member or location.

Rules
-----
1. Everything in words comes from the policy in force; nobody writes a second text that could contradict it (1798.90.51(b)).
2. Counts come from the services that hold them. One that does not answer leaves "not available now", never an old figure
   and never a guess.
3. Sums only: no camera, member or place is named. How often hits were right is told by list and by pair of characters where at least
   ``FEW`` hits were settled (a small group names its members), and by camera as how many cameras, the least and the most.
4. The page is made anew at most every ``_FRESH_S`` seconds, however often the public asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import grpc
import jinja2
import structlog

from plateward.audit.v1 import audit_pb2, audit_pb2_grpc
from plateward.hotlist.v1 import hotlist_pb2, hotlist_pb2_grpc
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.clock import Clock
from services.access.policy import PolicyBundle

DAYS = 30
FEW = 10
_FRESH_S = 30.0
_DEADLINE_S = 2.0
_LOG = structlog.get_logger(__name__)
_DETECTED = (
    "licence plates: their text, issuing state where it can be told, and where they are in the picture",
    "vehicles: car, truck, bus or motorcycle, and their colour",
    "time and camera of each passing",
)
_NOT_DETECTED = (
    "people, faces, or anything about a person: no part of the software can carry it",
    "drivers and passengers: the glass of a vehicle is masked before its picture is kept",
    "what else a camera sees: whole pictures are never stored",
    "speed, or any other traffic offence",
)


@dataclass(frozen=True, slots=True)
class Channels:
    """Who is asked for counts; None where this installation was not told the address."""

    audit: grpc.aio.Channel
    reads: grpc.aio.Channel | None
    hotlist: grpc.aio.Channel | None


@dataclass(frozen=True, slots=True)
class Right:
    """How often the hits of a group were right, of those that a person settled."""

    name: str
    confirmed: int
    settled: int

    @property
    def percent(self) -> int:
        """The confirmed ones in a hundred."""
        return round(100 * self.confirmed / self.settled)


@dataclass(frozen=True, slots=True)
class Precision:
    """How often hits were right, by group; groups with fewer than ``FEW`` settled hits are left out, and counted for lists."""

    lists: tuple[Right, ...] = ()
    small_lists: int = 0
    pairs: tuple[Right, ...] = ()
    cameras: tuple[int, int, int] = (0, 0, 0)
    """How many, the least and the most in a hundred."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Figures of the last ``DAYS`` days; None: not available now."""

    reads: int | None = None
    cameras: int | None = None
    hits: int | None = None
    confirmed: int | None = None
    precision: Precision | None = None
    searches: int | None = None
    refused: int | None = None
    last_audit: datetime | None = None
    checkpoint: str | None = None
    verifier_keys: tuple[str, ...] = ()


class TransparencyPage:
    """Makes the page, and keeps it for as long as it is fresh."""

    def __init__(self, channels: Channels, clock: Clock) -> None:
        self._channels, self._clock = channels, clock
        self._lock = asyncio.Lock()
        self._made: tuple[tuple[str, tuple[str, ...]], float, str] | None = None

    async def html(self, bundle: PolicyBundle, partners: tuple[str, ...]) -> str:
        """Return the page for a policy and the names of the agencies shared with."""
        key = bundle.version, partners
        async with self._lock:
            made = self._made
            if made is None or made[0] != key or time.monotonic() - made[1] > _FRESH_S:
                counts = await self._counts(bundle.document["agency"])
                page = render(bundle, partners, counts, self._clock.now())
                made = self._made = key, time.monotonic(), page
        return made[2]

    async def _counts(self, agency_id: str) -> Counts:
        audit, channels = audit_pb2_grpc.AuditServiceStub(self._channels.audit), self._channels
        asked: dict[str, Awaitable[Any]] = {
            "events": audit.CountEvents(audit_pb2.CountEventsRequest(days=DAYS), timeout=_DEADLINE_S),
            "checkpoint": audit.GetCheckpoint(audit_pb2.GetCheckpointRequest(), timeout=_DEADLINE_S),
        }
        if channels.reads is not None:
            reads = reads_pb2_grpc.ReadsServiceStub(channels.reads)
            asked["reads"] = reads.CountReads(reads_pb2.CountReadsRequest(days=DAYS), timeout=_DEADLINE_S)
        if channels.hotlist is not None:
            hotlist = hotlist_pb2_grpc.HotlistServiceStub(channels.hotlist)
            request = hotlist_pb2.GetMatchStatisticsRequest(days=DAYS)
            asked["hits"] = hotlist.GetMatchStatistics(request, timeout=_DEADLINE_S)
        answers = dict(zip(asked, await asyncio.gather(*asked.values(), return_exceptions=True), strict=True))
        return counts_of({name: _answer(name, value) for name, value in answers.items()}, agency_id)


def _answer(name: str, value: Any) -> Any:
    """Return an answer, None where there is none; whatever is no failure of the call is a fault of ours."""
    if isinstance(value, grpc.aio.AioRpcError):
        _LOG.warning("count_not_available", of=name, code=value.code().name)
        return None
    if isinstance(value, BaseException):
        raise value
    return value


def counts_of(answers: Mapping[str, Any], agency_id: str) -> Counts:
    """Return the figures in the answers to "events", "checkpoint", "reads" and "hits"; absent ones are None.

    Hits are those of the agency whose page it is.
    """
    events, checkpoint = answers.get("events"), answers.get("checkpoint")
    reads, hits = answers.get("reads"), answers.get("hits")
    own = None if hits is None else [row for row in hits.rows if row.agency_id == agency_id]
    lists = None if own is None else [row for row in own if row.group == "list"]
    last = (
        events.last_audit_at.ToDatetime(UTC)
        if events is not None and events.HasField("last_audit_at")
        else None
    )
    return Counts(
        reads=None if reads is None else reads.reads,
        cameras=None if reads is None else reads.cameras,
        hits=None if lists is None else sum(row.raised for row in lists),
        confirmed=None if lists is None else sum(row.confirmed for row in lists),
        precision=None if own is None else precision_of(own),
        searches=None if events is None else events.searches,
        refused=None if events is None else events.refused,
        last_audit=last,
        checkpoint=None if checkpoint is None else checkpoint.checkpoint,
        verifier_keys=() if checkpoint is None else tuple(checkpoint.verifier_keys),
    )


def precision_of(rows: Iterable[hotlist_pb2.MatchStatistic]) -> Precision:
    """Return how often hits were right, without small groups and without the name of a camera (rule 3)."""
    groups: dict[str, list[Right]] = {"list": [], "characters": [], "camera": []}
    small_lists = 0
    for row in rows:
        right = Right(row.name, row.confirmed, row.confirmed + sum(row.rejected.values()))
        if row.group in groups and right.settled >= FEW:
            groups[row.group].append(right)
        elif row.group == "list":
            small_lists += 1
    cameras = [right.percent for right in groups["camera"]]
    return Precision(
        tuple(groups["list"]),
        small_lists,
        tuple(groups["characters"]),
        (len(cameras), min(cameras, default=0), max(cameras, default=0)),
    )


def span(seconds: int) -> str:
    """Return a length of time in the largest unit that it fills without a rest: "30 days", "3 minutes"."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"


def render(bundle: PolicyBundle, partners: tuple[str, ...], counts: Counts, made_at: datetime) -> str:
    """Return the page: one file, no script, nothing fetched, every value escaped."""
    return _template().render(
        document=bundle.document, version=bundle.version, text=bundle.text, kept=bundle.kept.values(), partners=partners,
        prohibited=sorted((e["rule"], e["text"]) for e in bundle.data["prohibited"].values()), counts=counts, days=DAYS, few=FEW,
        detected=_DETECTED, not_detected=_NOT_DETECTED, made_at=made_at,
    )  # fmt: skip


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["span"] = span
    return environment.from_string((files(__package__) / "transparency.html").read_text(encoding="utf-8"))
