"""What the gateway shows while it runs: a live table on a terminal, a plain line now and then elsewhere; a summary.

Plates are shown of generated scenes only: looking at real reads is a search, and a search is on record (R-ACC-6).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from clients.gateway.counters import Counters
from clients.gateway.spool import Rejected
from plateward.common.v1 import recognition_pb2
from plateward.recognizer.v1 import recognizer_pb2

_PLAIN_S, _LIVE_S = 5.0, 0.2
_MOST_REJECTED = 5
_RARE = (
    "reconnects", "resent", "reopened", "skipped", "dropped", "unreadable", "rejected", "forgotten", "retries",
)  # fmt: skip


@dataclass(slots=True)
class Display:
    """Shows counters on a console."""

    console: Console
    counters: Counters
    total: int | None
    show_plates: bool

    def sighting(self, sighting: recognizer_pb2.Sighting) -> None:
        """Print a vehicle pass."""
        kind = recognition_pb2.VehicleType.Name(sighting.vehicle.type).removeprefix("VEHICLE_TYPE_").lower()
        text = (sighting.plate.text or "unreadable") if self.show_plates else "pass"
        vehicle = f"{sighting.vehicle.colour} {kind}" if sighting.HasField("vehicle") else "no vehicle found"
        self.console.print(
            f"  [bold]{text:9}[/] {sighting.plate.confidence:.2f}  {vehicle}, {sighting.frames} frames"
        )

    async def run(self) -> None:
        """Show until cancelled."""
        if not self.console.is_terminal:
            await self._plain()
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self._table(), refresh=True)
                await asyncio.sleep(_LIVE_S)

    async def _plain(self) -> None:
        shown = ""
        while True:
            await asyncio.sleep(_PLAIN_S)
            if (line := self.line()) != shown:
                self.console.print(f"  {line}", markup=False, soft_wrap=True)
                shown = line

    def line(self) -> str:
        """Return the state in one line."""
        c = self.counters
        share = f"/{self.total}" if self.total else ""
        parts = [
            f"frames {c.frames}{share}", f"passes {c.sightings}", f"stored {c.stored}", f"in the spool {c.spooled}",
            *(f"{name} {count}" for name in _RARE if (count := getattr(c, name))),
            *(trouble for trouble in (c.recognizer_trouble, c.reads_trouble, c.spool_trouble) if trouble),
        ]  # fmt: skip
        return ", ".join(parts)

    def _table(self) -> Table:
        c = self.counters
        breaks = c.reconnects + c.retries + c.reopened
        share = f"/{self.total}" if self.total else ""
        table = Table("frames", "passes", "stored", "in the spool", "breaks", "trouble")
        trouble = " ".join(t for t in (c.recognizer_trouble, c.reads_trouble, c.spool_trouble) if t)
        row = (f"{c.frames}{share}", c.sightings, c.stored, c.spooled, breaks, trouble.replace("[", r"\["))
        table.add_row(*map(str, row))
        return table

    def summary(self, rejected: list[Rejected], waiting: int) -> None:
        """Print how it ended."""
        c = self.counters
        known = f", {c.duplicates} known before" if c.duplicates else ""
        self.console.print(
            f"  {c.frames} frames, {c.sightings} vehicle passes, {c.stored} reads stored{known}; "
            f"{c.reconnects + c.retries + c.reopened} breaks survived, {c.dropped + c.skipped} frames dropped",
            soft_wrap=True,
        )
        notes = {
            "frames sent again": c.resent,
            "frames that are no pictures": c.unreadable,
            "frames that memory had no room for": c.forgotten,
            "refused sightings went from the spool by age or for room, in all": c.let_go,
            "sightings wait in the spool; the next run sends them": waiting,
        }
        for text, count in notes.items():
            if count:
                self.console.print(f"  {count} {text}")
        for each in rejected[:_MOST_REJECTED]:
            self.console.print(
                f"  refused {each.id} of {each.seen_at or 'no time'}: {each.reason}: {each.message}",
                markup=False,
                style="red",
            )
        if rejected:
            more = len(rejected) - _MOST_REJECTED
            also = f"and {more} more refused; " if more > 0 else ""
            self.console.print(f"  {also}mend the cause, then send them again with --requeue", style="red")
