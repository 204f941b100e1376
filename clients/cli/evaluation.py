"""``plateward eval``: labelled photographs read in this process, measures, and a contact sheet of the errors."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures with truth.jsonl or truth.csv.")],
    sheet: Annotated[
        Path, typer.Option(help="Where the contact sheet of the errors is written (HTML).")
    ] = Path("errors.html"),
    predictions: Annotated[
        Path | None, typer.Option(help="Also write what was read, one JSON object a picture.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder with manifest.json; the models of the package if left out.")
    ] = None,
) -> None:
    """Read labelled photographs, print the measures and show every error on one HTML sheet. 1 when a picture is unusable."""
    from clients.cli.recognize import as_row
    from clients.cli.scoring import Score, TruthError, labels_of
    from clients.cli.sheet import card, write
    from services.recognizer.decode import ImageError, decode
    from services.recognizer.pipeline import MODELS_FOLDER, ModelError, Models, Pipeline

    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        labels = labels_of(folder)
        chosen = models or MODELS_FOLDER
        pipeline, limits = Pipeline.load(chosen), Models.load(chosen).limits
    except (TruthError, ModelError) as error:
        _end(errors, str(error))
    score, cards, rows = Score(), [], []
    names = track(labels, "reading", console=errors, transient=True, disable=not errors.is_terminal)
    for name in names:
        try:
            image = decode((folder / name).read_bytes())
        except (ImageError, OSError) as error:
            errors.print(f"{name}: {error}", markup=False, style="red", soft_wrap=True)
            score.unread.append(name)
            score.add((), labels[name])
            continue
        begun = time.perf_counter()
        found = pipeline.recognize(image)
        rows.append(as_row(name, found, found.plates, (time.perf_counter() - begun) * 1000))
        cards += [card(name, image, fault) for fault in score.add(found.plates, labels[name])]
    measures = score.measures()
    table = Table(
        "measure", "value", title=f"{folder.name}: {score.plates} plates in {score.images} pictures"
    )
    for measure, value in measures.items():
        table.add_row(measure, f"{value:.3f}")
    try:
        write(
            sheet, cards, score, measures,
            folder=folder.name, version=pipeline.model_version, operating_point=limits.readable,
        )  # fmt: skip
        if predictions is not None:
            predictions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        _end(errors, f"{error.filename or sheet}: {error.strerror}: choose a place that can be written")
    console.print(table)
    console.print(f"{len(cards)} errors on {sheet}", soft_wrap=True)
    sys.exit(1 if score.unread else 0)


def _end(errors: Console, message: str) -> NoReturn:
    errors.print(f"eval: {message}", markup=False, style="red", soft_wrap=True)
    sys.exit(2)
