"""``plateward recognize``: plates and vehicles of pictures, folders and videos, in this process, without a service.

JSON output is one object a picture, boxes as x, y, width, height in pixels, candidates best first:
``{"image": "a.jpg", "plates": [{"text", "box", "confidence", "candidates"}], "vehicles": [...], "ms": 12.3}``
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from clients.cli.drawing import drawn, save
from clients.cli.playing import Passes, Seen, clock, play
from clients.gateway.sources import PICTURES, SourceError
from services.recognizer.decode import ImageError, decode
from services.recognizer.pipeline import MODELS_FOLDER, ModelError, Pipeline
from services.recognizer.results import Image, PlateRead, Recognition, VehicleRead

_VIDEOS = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v"})
_PLAYED = _VIDEOS.union(PICTURES)


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to read: of a file, or of a video at some seconds (with the share of the video that is over)."""

    name: str
    image: Image
    at: float | None = None
    share: float = 0.0


def recognize(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, folders or videos.")],
    draw: Annotated[
        Path | None, typer.Option(help="Draw what was found: a file for one picture, a folder for several.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a picture on standard output.")
    ] = False,
    models: Annotated[Path, typer.Option(help="Folder with the models and their manifest.")] = MODELS_FOLDER,
    threads: Annotated[int, typer.Option(help="CPU threads of one recognition.", min=1, max=64)] = 1,
    min_confidence: Annotated[
        float, typer.Option(help="Leave out plates below this confidence.", min=0, max=1)
    ] = 0.0,
) -> None:
    """Print the plates and vehicles of any picture, folder or video; of a video, one row for each vehicle that passes.

    Ends with 1 when a file could not be read, or not to its end.
    """
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        pipeline = Pipeline.load(models, threads=threads)
    except ModelError as error:
        errors.print(f"[bold red]recognize:[/] {error}")
        sys.exit(2)
    empty = [path for path in paths if path.is_dir() and not _files(path)]
    for path in empty:
        errors.print(f"{path}: holds no picture and no video", markup=False, style="red")
    files = [f for path in paths for f in _files(path)]
    several, failed = len(files) > 1, len(empty)
    table = Table("picture", "plate", "confidence", "also", "vehicle", "ms")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("reading", total=len(files))
        for number, file in enumerate(files):
            progress.update(task, description=f"{number + 1} of {len(files)}: {file.name}")
            video = _Video(file.name)
            try:
                for item in _items(file):
                    begun = time.perf_counter()
                    found = pipeline.recognize(item.image)
                    ms = (time.perf_counter() - begun) * 1000
                    plates = [p for p in found.plates if p.confidence >= min_confidence]
                    if as_json:
                        print(json.dumps(as_row(item.name, found, plates, ms)))
                    elif item.at is None:
                        _rows(table, item.name, plates, found.vehicles, ms)
                    else:
                        video.add(item.at, found, ms)
                    if draw is not None:
                        target = _target(draw, item, several=several or item.at is not None)
                        save(target, drawn(item.image, plates, found.vehicles))
                    progress.update(task, completed=number + item.share)
            except (ImageError, SourceError, OSError) as error:
                failed += 1
                errors.print(f"{file.name}: {_told(error)}", markup=False, style="red", soft_wrap=True)
            video.tell(table, min_confidence)
            progress.update(task, completed=number + 1)
    if not as_json:
        console.print(table)
    sys.exit(1 if failed else 0)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix.lower() in _PLAYED)
    return [path]


def _items(file: Path) -> Iterator[Item]:
    if file.suffix.lower() not in _VIDEOS:
        yield Item(file.name, decode(file.read_bytes()))
        return
    for number, played in enumerate(play(file)):
        yield Item(f"{file.name}#{number}", played.image, played.at, played.share)


def as_row(name: str, found: Recognition, plates: Sequence[PlateRead], ms: float) -> dict[str, object]:
    """Return a picture as one JSON object, in the form of the plate scorer."""
    return {
        "image": name,
        "plates": [
            {
                "text": p.text, "box": [round(float(v), 1) for v in p.box], "confidence": round(p.confidence, 4),
                "candidates": [text for text, _ in p.candidates], "state": p.state,
            }
            for p in plates if p.readable
        ],
        "vehicles": [{"type": v.type, "colour": v.colour, "box": [round(float(x), 1) for x in v.box]} for v in found.vehicles],
        "ms": round(ms, 2),
        "models": found.model_version,
    }  # fmt: skip


class _Video:
    """The passes of a video, one row each."""

    def __init__(self, name: str) -> None:
        self._name, self._passes = name, Passes()
        self._seen: list[Seen] = []
        self._ms: list[float] = []

    def add(self, at: float, found: Recognition, ms: float) -> None:
        self._seen += self._passes.add(at, found)
        self._ms.append(ms)

    def tell(self, table: Table, min_confidence: float) -> None:
        """Add what passed; also of a video that broke off."""
        if not self._ms:
            return
        seen = [s for s in self._seen + self._passes.end() if s.fused.plate.confidence >= min_confidence]
        ms = sum(self._ms) / len(self._ms)
        for each in seen:
            vehicles = [each.fused.vehicle] if each.fused.vehicle is not None else []
            name = f"{self._name} {clock(each.first)} to {clock(each.last)}, {each.fused.frames} frames"
            _rows(table, name, [each.fused.plate], vehicles, ms)
        if not seen:
            _rows(table, f"{self._name}, {len(self._ms)} frames: nothing passed", [], [], ms)


def _rows(
    table: Table, name: str, plates: Sequence[PlateRead], found: Sequence[VehicleRead], ms: float
) -> None:
    vehicles = [f"{v.colour} {v.type} {v.type_confidence:.2f}" for v in found]
    lines = max(len(plates), len(vehicles), 1)
    for i in range(lines):
        plate = plates[i] if i < len(plates) else None
        text = "" if plate is None else plate.text if plate.readable else "unreadable"
        also = "" if plate is None else " ".join(t for t, _ in plate.candidates[1:3])
        confidence = "" if plate is None or not plate.readable else f"{plate.confidence:.2f}"
        vehicle = vehicles[i] if i < len(vehicles) else ""
        table.add_row(
            name if i == 0 else "",
            f"[bold]{text}[/]",
            confidence,
            also,
            vehicle,
            f"{ms:.0f}" if i == 0 else "",
        )


def _target(draw: Path, item: Item, *, several: bool) -> Path:
    if not several:
        return draw
    draw.mkdir(parents=True, exist_ok=True)
    # A picture's name once: two files that differ in their ending only must not overwrite each other.
    name = item.name.replace("#", "-")
    return draw / (name if name.lower().endswith(".png") else f"{name}.png")


def _told(error: Exception) -> str:
    """Return what is wrong with a file, without its path."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file: give pictures, folders or videos"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
