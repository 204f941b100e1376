"""``plateward cameras``: register cameras and list them. Reads of a camera that is not registered are rejected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import grpc
import typer
from rich.console import Console
from rich.table import Table

from clients.cli.refusals import end_refused
from clients.connection import Connection
from plateward.common.v1 import types_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer

app = typer.Typer(no_args_is_help=True, help="Cameras: register or change one, list them.")
Connect = Annotated[Path, typer.Option("--connect", help="Connection folder, which holds stack.json.")]
Member = Annotated[str, typer.Option("--member", help="Member who asks; an administrator registers.")]
DEFAULT = Path(".plateward")
_TIMEOUT_S = 15.0
_A = TypeVar("_A")


@app.command()
def add(
    camera: Annotated[str, typer.Argument(help="ID of the camera. Example: cam-laguna-1.")],
    name: Annotated[str, typer.Option(help="A name people know. Example: 'Laguna Blvd, eastbound'.")],
    latitude: Annotated[float, typer.Option(min=-90, max=90, help="Degrees north.")],
    longitude: Annotated[float, typer.Option(min=-180, max=180, help="Degrees east.")],
    heading: Annotated[
        float, typer.Option(min=0, max=359.9, help="Degrees clockwise from north that it faces.")
    ] = 0,
    active: Annotated[bool, typer.Option("--active/--off", help="Whether its reads are accepted.")] = True,
    member: Member = "m-3001",
    connect: Connect = DEFAULT,
) -> None:
    """Register a camera, or change it. The change is on record."""
    place = types_pb2.Place(latitude=latitude, longitude=longitude)
    wanted = reads_pb2.Camera(camera_id=camera, name=name, place=place, heading=heading, active=active)
    request = reads_pb2.PutCameraRequest(camera=wanted)
    metadata = _signed_in(connect, member)
    answer = _ask(connect, lambda stub: stub.PutCamera(request, metadata=metadata, timeout=_TIMEOUT_S))
    print(
        f"{answer.camera.camera_id} is registered; the change is entry #{answer.receipt.index} of the audit log"
    )


@app.command("list")
def list_cameras(member: Member = "m-3001", connect: Connect = DEFAULT) -> None:
    """List the cameras of one's agency."""
    metadata = _signed_in(connect, member)
    request = reads_pb2.ListCamerasRequest()
    answer = _ask(connect, lambda stub: stub.ListCameras(request, metadata=metadata, timeout=_TIMEOUT_S))
    table = Table("camera", "name", "place", "heading", "accepted")
    for c in answer.cameras:
        place = f"{c.place.latitude:.4f}, {c.place.longitude:.4f}"
        table.add_row(c.camera_id, c.name, place, f"{c.heading:.0f}°", "yes" if c.active else "no")
    Console(highlight=False).print(table)


def _signed_in(connect: Path, member: str) -> tuple[tuple[str, str], ...]:
    return bearer(Connection.load(connect).token(member))


def _ask(connect: Path, call: Callable[[reads_pb2_grpc.ReadsServiceAsyncStub], Awaitable[_A]]) -> _A:
    async def asked() -> _A:
        async with Connection.load(connect).channel("reads", "portal") as channel:
            return await call(reads_pb2_grpc.ReadsServiceStub(channel))

    try:
        return asyncio.run(asked())
    except grpc.aio.AioRpcError as error:
        end_refused(error)
