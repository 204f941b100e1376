"""``plateward gateway``: plays a camera, a video, a folder or generated scenes through the platform."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from clients.connection import Connection
from clients.gateway.sender import Sender, Sent
from clients.gateway.sources import Frame, SourceError, open_source
from clients.gateway.spool import Spool, SpoolFullError
from clients.gateway.stream import Progress, Streamer
from plateward.common.v1 import recognition_pb2
from plateward.recognizer.v1 import recognizer_pb2
from servicekit.errors import parse_rpc_error

_REFRESH_S = 0.25


def gateway(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of pictures, video file or rtsp:// address; nothing plays generated street scenes."
        ),
    ] = "",
    camera: Annotated[
        str, typer.Option(help="ID of the camera, registered with the reads service.")
    ] = "cam-laguna-1",
    connect: Annotated[Path, typer.Option(help="Folder of the stack (stack.json).")] = Path(".plateward"),
    once: Annotated[
        bool, typer.Option("--once", help="Play the source once; generated scenes go on otherwise.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the generated scenes.")] = 1,
    plate: Annotated[
        list[str] | None, typer.Option(help="A plate that passes in the generated scenes; may be repeated.")
    ] = None,
    passes: Annotated[int, typer.Option(help="Vehicles that pass in a generated clip.", min=1)] = 5,
    fps: Annotated[float, typer.Option(help="Frames a second of generated scenes.", min=1, max=60)] = 8.0,
    max_frames: Annotated[int, typer.Option(help="Stop after this many frames; 0 means all.", min=0)] = 0,
) -> None:
    """Stream frames to the recognizer and store one read for each vehicle pass; survives every break on the way."""
    console = Console(highlight=False)
    connection = Connection.load(connect)
    spool = Spool(connection.root / "gateway" / f"{camera}.spool")
    try:
        frames = _frames(source, once=once, seed=seed, fps=fps, plates=plate or [], passes=passes)
        sent = asyncio.run(_play(connection, camera, islice(frames, max_frames or None), spool, console))
    except (SourceError, SpoolFullError) as error:
        console.print(f"[bold red]gateway:[/] {error}")
        sys.exit(1)
    except grpc.aio.AioRpcError as error:
        fault = parse_rpc_error(error)
        console.print(f"[bold red]gateway: refused[/] {fault or error.details()}")
        sys.exit(1)
    except KeyboardInterrupt:
        console.print(f"stopped; {spool.depth} sightings wait in the spool for the next start")
        sys.exit(130)
    finally:
        rejected = spool.rejected
        spool.close()
    for read_id, reason in rejected[-3:]:
        console.print(f"[yellow]rejected[/] {read_id}: {reason}")
    sys.exit(1 if sent.rejected else 0)


def _frames(
    source: str, *, once: bool, seed: int, fps: float, plates: list[str], passes: int
) -> Iterator[Frame]:
    offset = 0
    while True:
        number = 0
        for frame in open_source(source, seed=seed, fps=fps, plates=plates, passes=passes):
            number = frame.number
            yield Frame(offset + number, frame.at, frame.jpeg)
        if once or source:
            return
        offset, seed = offset + number, seed + 1


async def _play(
    connection: Connection, camera: str, frames: Iterator[Frame], spool: Spool, console: Console
) -> Sent:
    progress, sent, done = Progress(), Sent(), asyncio.Event()
    async with (
        connection.channel("recognizer", "gateway") as recognizer,
        connection.channel("reads", "gateway") as reads,
    ):
        streamer = Streamer(
            recognizer, camera, frames, spool, progress, lambda s: console.print(f"  {_line(s)}")
        )

        async def stream() -> None:
            try:
                await streamer.run()
            finally:
                done.set()

        with (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else _Quiet() as live
        ):

            async def show() -> None:
                while True:
                    live.update(_table(camera, progress, sent, spool), refresh=True)
                    await asyncio.sleep(_REFRESH_S)

            shown = asyncio.create_task(show())
            try:
                await asyncio.gather(stream(), Sender(reads, spool, sent).run(done))
            finally:
                shown.cancel()
    console.print(
        f"  {camera}: {progress.frames} frames, {progress.sightings} vehicle passes, {sent.stored} reads stored, {sent.duplicates} known before, "
        f"{sent.rejected} rejected; {progress.reconnects + sent.failures} breaks survived, {progress.dropped} frames dropped"
    )
    return sent


class _Quiet:
    """Stands where a terminal would show a live table."""

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, _table: Table, *, refresh: bool) -> None:
        """Show nothing."""


def _table(camera: str, progress: Progress, sent: Sent, spool: Spool) -> Table:
    table = Table("camera", "frames", "passes", "stored", "in the spool", "breaks", "warnings")
    breaks = progress.reconnects + sent.failures
    row = (camera, progress.frames, progress.sightings, sent.stored, spool.depth, breaks, progress.warnings)
    table.add_row(*map(str, row))
    return table


def _line(sighting: recognizer_pb2.Sighting) -> str:
    vehicle = recognition_pb2.VehicleType.Name(sighting.vehicle.type).removeprefix("VEHICLE_TYPE_").lower()
    text = sighting.plate.text or "unreadable"
    return f"[bold]{text:9}[/] {sighting.plate.confidence:.2f}  {sighting.vehicle.colour} {vehicle}, {sighting.frames} frames"
