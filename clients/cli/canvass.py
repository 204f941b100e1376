"""``plateward canvass``: everything at a scene, plates at several scenes, plates that travelled along."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console

from clients.cli import calls
from clients.cli.areas import area
from clients.cli.reads_calls import (
    HERE,
    SUPERVISOR,
    Case,
    Connect,
    Offence,
    Reason,
    ask,
    gathered,
    purpose,
    reads_table,
    recorded,
    window,
)  # fmt: skip
from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.scopes import request_digest

app = typer.Typer(
    no_args_is_help=True,
    short_help="Everything at a scene, plates at several scenes, plates that travelled along.",
    help="Canvass around a scene. It shows people who did nothing, so it goes step by step: [bold]scene[/] tells how many reads "
    "there are, then [bold]--step rows[/], then [bold]--step pictures[/]; each step is decided and recorded by itself. What is "
    "wider than the policy lets one person look is refused by agency.second-person: ask with [bold]--ask-approval[/], a supervisor "
    "grants exactly that, and [bold]approved[/] makes it. An area is a circle, [bold]38.4088,-121.3716,800[/] (metres), or three or "
    "more corners.",
    rich_markup_mode="rich",
)
Member = Annotated[str, typer.Option("--member", help="Member who asks: a supervisor.")]
Asking = Annotated[
    bool, typer.Option("--ask-approval", help="Ask a second person to approve this, instead of making it.")
]
_METHODS: dict[str, tuple[str, type[Message]]] = {
    cls.DESCRIPTOR.full_name: (method, cls)
    for method, cls in (
        ("Canvass", reads_pb2.CanvassRequest),
        ("CompareScenes", reads_pb2.CompareScenesRequest),
        ("FindCompanions", reads_pb2.FindCompanionsRequest),
    )
}


class Step(Enum):
    """How far a canvass goes."""

    count = "count"
    rows = "rows"
    pictures = "pictures"


@app.command()
def scene(
    place: Annotated[str, typer.Argument(help="Where: 38.4088,-121.3716,800 or corners.")],
    offence: Offence,
    reason: Reason,
    case: Case = "",
    since: Annotated[str, typer.Option(help="From when: 2h, or a time.")] = "1h",
    until: Annotated[str, typer.Option(help="Up to when; now if left out.")] = "",
    step: Annotated[Step, typer.Option(help="How far to go.")] = Step.count,
    pictures: Annotated[Path, typer.Option(help="Folder for the pictures of that step.")] = Path("canvass"),
    member: Member = SUPERVISOR,
    ask_approval: Asking = False,
    connect: Connect = HERE,
) -> None:
    """Count, list or show all reads in an area and a window."""
    request = reads_pb2.CanvassRequest(
        purpose=purpose(offence, reason, case), step=reads_pb2.CanvassStep.Value(f"CANVASS_STEP_{step.value.upper()}"),
        scene=reads_pb2.Scene(area=area(place), window=window(since, until)),
    )  # fmt: skip
    _make(connect, member, request, pictures, asking=ask_approval)


@app.command()
def compare(
    places: Annotated[
        list[str], typer.Argument(help="Two or more scenes: 'area@since..until', until may be empty.")
    ],
    offence: Offence,
    reason: Reason,
    case: Case = "",
    at_least: Annotated[int, typer.Option(min=2, max=16, help="Seen at this many of them at least.")] = 2,
    member: Member = SUPERVISOR,
    ask_approval: Asking = False,
    connect: Connect = HERE,
) -> None:
    """Find plates seen at two or more scenes. Example: compare '38.41,-121.37,500@3h..2h' '38.45,-121.40,500@1h..'."""
    request = reads_pb2.CompareScenesRequest(
        purpose=purpose(offence, reason, case), scenes=map(_scene, places), at_least=at_least
    )
    _make(connect, member, request, Path(), asking=ask_approval)


@app.command()
def companions(
    plate: Annotated[str, typer.Argument(help="The plate. Example: 8ABC123.")],
    offence: Offence,
    reason: Reason,
    case: Case = "",
    since: Annotated[str, typer.Option(help="From when: 12h, 7d, or a time.")] = "24h",
    until: Annotated[str, typer.Option(help="Up to when; now if left out.")] = "",
    within: Annotated[int, typer.Option(min=1, max=600, help="Seconds between the two at one camera.")] = 60,
    at_least: Annotated[
        int, typer.Option(min=2, max=64, help="Cameras at which both were seen, at least.")
    ] = 3,
    member: Member = SUPERVISOR,
    ask_approval: Asking = False,
    connect: Connect = HERE,
) -> None:
    """Find plates that passed the same cameras within seconds of a plate (convoy)."""
    request = reads_pb2.FindCompanionsRequest(
        purpose=purpose(offence, reason, case),
        plate=plate,
        window=window(since, until),
        within_s=within,
        at_least=at_least,
    )
    _make(connect, member, request, Path(), asking=ask_approval)


@app.command()
def approved(
    approval: Annotated[str, typer.Argument(help="ID of the approval: plateward approvals list.")],
    pictures: Annotated[Path, typer.Option(help="Folder for pictures.")] = Path("canvass"),
    member: Member = SUPERVISOR,
    connect: Connect = HERE,
) -> None:
    """Make the canvass that was approved, exactly as it was."""
    found = calls.ask(connect, member, "ListApprovals", access_pb2.ListApprovalsRequest()).approvals
    granted = next((a for a in found if a.approval_id == approval), None)
    if granted is None or granted.request_type not in _METHODS:
        raise typer.BadParameter(
            "there is no approval of a canvass with this ID: plateward approvals list", param_hint="approval"
        )
    request: Any = json_format.Parse(granted.request_json, _METHODS[granted.request_type][1]())
    request.approval_id = approval
    _make(connect, member, request, pictures, asking=False)


def _scene(text: str) -> reads_pb2.Scene:
    place, at, span = text.rpartition("@")
    since, dots, until = span.partition("..")
    if not at or not dots:
        raise typer.BadParameter(
            f"{text!r} is no scene: write area@since..until, such as 38.41,-121.37,500@3h..2h"
        )
    return reads_pb2.Scene(area=area(place), window=window(since, until))


def _make(connect: Path, member: str, request: Any, pictures: Path, *, asking: bool) -> None:
    if asking:
        asked = access_pb2.RequestApprovalRequest(
            purpose=request.purpose, action=action_pb2.ACTION_CANVASS, request_digest=request_digest(request),
            request_type=request.DESCRIPTOR.full_name, request=request.SerializeToString(),
        )  # fmt: skip
        answer = calls.ask(connect, member, "RequestApproval", asked)
        print(f"Asked. A second person sees it and grants it: plateward approvals grant {answer.approval_id}")
        recorded(connect, answer.receipt)
        return
    if isinstance(request, reads_pb2.CanvassRequest):
        ask(
            connect,
            member,
            lambda stub, options: gathered(stub.Canvass(request, **options), _Shown(connect, pictures)),
        )
        return
    method = _METHODS[request.DESCRIPTOR.full_name][0]
    answer = ask(connect, member, lambda stub, options: getattr(stub, method)(request, **options))
    console = Console()
    for plate in answer.plates:
        scenes = f" at scenes {', '.join(map(str, plate.scenes))}" if plate.scenes else ""
        count = f"{len(plate.reads)} of {plate.count}" if plate.count > len(plate.reads) else len(plate.reads)
        console.print(reads_table(plate.reads, f"{plate.plate}: {count} reads{scenes}"))
    print(f"{len(answer.plates)} plate(s)")
    recorded(connect, answer.receipt)


class _Shown:
    """Prints the parts of a canvass as they come."""

    def __init__(self, connect: Path, pictures: Path) -> None:
        self._connect = connect
        self._pictures = pictures
        self._first = True

    def __call__(self, part: reads_pb2.CanvassResponse) -> None:
        if self._first:
            print(f"{part.count} reads of {part.plates} plates at {part.cameras} cameras")
            self._first = False
        if part.reads:
            Console().print(reads_table(part.reads))
        for picture in part.pictures:
            self._pictures.mkdir(parents=True, exist_ok=True)
            kind = types_pb2.CropKind.Name(picture.kind).removeprefix("CROP_KIND_").lower()
            (self._pictures / f"{picture.read_id}-{kind}.jpg").write_bytes(picture.jpeg)
        recorded(self._connect, part.receipt)
