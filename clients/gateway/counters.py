"""What the gateway counts and shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counts since the start.

    Attributes:
        frames: taken from the source.
        skipped: frames of a camera that nobody had time for.
        dropped: frames that the recognizer's queue dropped.
        unreadable: frames that are no pictures.
        sightings: vehicle passes reported, each counted once.
        stored, duplicates, rejected: answers of `reads`.
        spooled: sightings that wait for `reads`.
        let_go: refused sightings that went from the spool by age or for room, since it was made.
        reconnects: streams to the recognizer that were opened again.
        resent: frames sent a second time because of that.
        retries: batches to `reads` that were sent again.
        reopened: cameras that were opened again.
        forgotten: frames that memory had no room for; they cannot be sent again.
        recognizer_trouble, reads_trouble, spool_trouble: what is wrong at the moment, or nothing.
    """

    frames: int = 0
    skipped: int = 0
    dropped: int = 0
    unreadable: int = 0
    sightings: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    spooled: int = 0
    let_go: int = 0
    reconnects: int = 0
    resent: int = 0
    retries: int = 0
    reopened: int = 0
    forgotten: int = 0
    recognizer_trouble: str = ""
    reads_trouble: str = ""
    spool_trouble: str = ""

    def moved(self) -> tuple[int, ...]:
        """Return what changes while work gets done."""
        return self.frames, self.sightings, self.stored, self.duplicates, self.rejected
