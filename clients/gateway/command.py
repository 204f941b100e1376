"""``plateward gateway``: one camera, from its frames to stored reads."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from clients.connection import Connection
from clients.gateway.counters import Counters
from clients.gateway.display import Display
from clients.gateway.feed import Feed
from clients.gateway.sender import Sender
from clients.gateway.sources import Source, SourceError, open_source
from clients.gateway.spool import KEEP_REFUSED, MOST_BYTES, Spool, SpoolError
from clients.gateway.stream import Stream, StreamError

_FAILED, _INTERRUPTED = 1, 130
_WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of the gateway is to do."""

    connect: Path
    identity: str
    camera: str
    spool: Path
    start: datetime | None
    pace: float
    most_frames: int
    patience_s: float | None
    requeue: bool
    spool_bytes: int
    keep_refused: timedelta
    spool_key: Path | None


def gateway(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Folder of pictures, video file or camera URL (rtsp://…). Left out: generated street scenes."
        ),
    ] = None,
    camera: Annotated[str, typer.Option(help="ID of the camera, as registered.")] = "cam-laguna-1",
    once: Annotated[
        bool, typer.Option("--once", help="Play generated scenes once; end when everything is stored.")
    ] = False,
    fps: Annotated[
        float,
        typer.Option(
            min=0,
            help="Play a recording at so many frames a second (0: as fast as they are read), and take a folder's "
            "pictures as frames of one camera (0: each picture stands for itself).",
        ),
    ] = 0,
    sample: Annotated[
        float, typer.Option(min=0.1, max=60, help="Frames a second that are taken of a video or camera.")
    ] = 10,
    max_frames: Annotated[int, typer.Option(min=0, help="End after so many frames; 0: no limit.")] = 0,
    start: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%S"],
            help="When a recording began (UTC); played again with the same start it stores nothing twice.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the generated scenes.")] = 1,
    passes: Annotated[int, typer.Option(min=1, max=1000, help="Vehicles in the generated scenes.")] = 5,
    plate: Annotated[
        list[str] | None,
        typer.Option(help="A plate that passes in the generated scenes; repeat for several."),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(help="File of sightings that wait; in the connection folder if left out."),
    ] = None,
    spool_mb: Annotated[
        int, typer.Option(min=16, help="Most megabytes that wait in the spool; beyond them the camera waits.")
    ] = MOST_BYTES // 10**6,
    spool_key: Annotated[
        Path | None,
        typer.Option(
            help="Key that seals the spool: 32 bytes, made where it is absent. Beside the spool if left out; put it on another "
            "device where the gateway can be stolen."
        ),
    ] = None,
    keep_refused: Annotated[
        int,
        typer.Option(
            min=0,
            max=30,
            help="Days for which refused sightings are kept to be sent again. What was too old goes at once.",
        ),
    ] = KEEP_REFUSED.days,
    requeue: Annotated[
        bool, typer.Option("--requeue", help="Send what was refused in earlier runs once more.")
    ] = False,
    patience: Annotated[
        float, typer.Option(min=1, help="With --once: give up after so many seconds without progress.")
    ] = 120,
    identity: Annotated[str, typer.Option(help="Client certificate of the connection folder.")] = "gateway",
    connect: Annotated[Path, typer.Option(help="Connection folder, which holds stack.json.")] = Path(
        ".plateward"
    ),
) -> None:
    """Play a camera through the recognizer; each vehicle pass becomes one stored read, whatever breaks on the way."""
    console = Console(highlight=False)
    plan = Plan(
        connect, identity, camera, spool or connect / "gateway" / f"{camera}.sqlite",
        start.replace(tzinfo=UTC) if start else None, fps, max_frames, patience if once else None, requeue,
        spool_mb * 10**6, timedelta(days=keep_refused), spool_key,
    )  # fmt: skip
    try:
        while True:
            opened = open_source(source, seed=seed, passes=passes, plates=plate or (), sample=sample, fps=fps)
            code = asyncio.run(play(plan, opened, console))
            if once or code or not opened.generated:
                break
            seed += 1
    except (SourceError, SpoolError, StreamError) as error:
        Console(stderr=True).print(f"gateway: {error}", markup=False, style="red", soft_wrap=True)
        raise typer.Exit(_FAILED) from None
    raise typer.Exit(code)


async def play(plan: Plan, source: Source, console: Console) -> int:
    """Play a source to its end; return the exit code.

    Raises:
        ConnectionFileError, SourceError, StreamError, SpoolError: each with the next step.
    """
    connection = Connection.load(plan.connect)
    counters = Counters()
    spool = Spool(
        plan.spool, most_bytes=plan.spool_bytes, keep_refused=plan.keep_refused, key_file=plan.spool_key
    )
    console.print(f"  {plan.camera}: {source.name}", markup=False, soft_wrap=True)
    start = plan.start or datetime.now(UTC) - timedelta(seconds=source.seconds)
    feed = Feed(source, counters, start=start, pace=plan.pace, most_frames=plan.most_frames)
    display = Display(console, counters, plan.most_frames or source.total, source.generated)
    _stop_gently(feed)
    try:
        async with (
            connection.channel("recognizer", plan.identity) as recognizer,
            connection.channel("reads", plan.identity) as reads,
        ):
            if plan.requeue:
                console.print(f"  {await spool.requeue()} refused sightings wait again")
            stream = Stream(plan.camera, feed, spool, recognizer, counters, display.sighting)
            sending = asyncio.create_task(Sender(spool, reads, counters).run())
            showing = asyncio.create_task(display.run())
            try:
                await _until_stored(plan, stream, spool, counters, sending)
            finally:
                sending.cancel()
                showing.cancel()
                await asyncio.gather(sending, showing, return_exceptions=True)
        interrupted, rejected = feed.stopped, await spool.rejected()
        counters.let_go = spool.let_go
        display.summary(rejected, spool.depth)
        if rejected or spool.depth or not stream.finished:
            return _FAILED
        return _INTERRUPTED if interrupted else 0
    finally:
        feed.stop()
        spool.close()


def _stop_gently(feed: Feed) -> None:
    """Let the first signal end the source, so that what is under way is stored; the next one ends the process."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        feed.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


async def _until_stored(
    plan: Plan, stream: Stream, spool: Spool, counters: Counters, sending: asyncio.Task[None]
) -> None:
    """Wait until the source is read and the spool is empty, or nothing has moved for longer than patience."""

    async def work() -> None:
        await stream.run()
        await spool.emptied.wait()

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        at, before = loop.time(), counters.moved()
        while plan.patience_s is None or loop.time() - at < plan.patience_s:
            await asyncio.sleep(_WATCH_S)
            counters.spool_trouble, counters.let_go = spool.trouble, spool.let_go
            if (now := counters.moved()) != before:
                at, before = loop.time(), now

    working, watching = asyncio.create_task(work()), asyncio.create_task(watch())
    try:
        await asyncio.wait({working, watching, sending}, return_when=asyncio.FIRST_COMPLETED)
        for task in (working, sending):
            if task.done():
                await task
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)
