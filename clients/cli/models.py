"""``plateward models``: which models there are, whether they are what they say, and engines built for a GPU."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from services.recognizer.engine import Provider
    from services.recognizer.pipeline import Models

app = typer.Typer(
    no_args_is_help=True,
    help="The recognizer's models: what is there, whether it is whole, engines for a GPU.",
)
_Folder = Annotated[
    Path | None, typer.Option(help="Folder with manifest.json; the models of the package if left out.")
]


@app.command("list")
def list_models(models: _Folder = None) -> None:
    """Show version, files and operating point of the models, and what this machine can run them on."""
    from services.recognizer.engine import PROFILES, available
    from services.recognizer.gpu_decode import has_gpu_decoder

    found, console = _loaded(models), Console(highlight=False)
    table = Table("model", "size", "SHA-256", title=f"models {found.version}", title_justify="left")
    for name, data in found.files.items():
        table.add_row(name, f"{len(data) / 1e6:.2f} MB", hashlib.sha256(data).hexdigest())
    console.print(table)
    console.print(
        f"a text is given from confidence {found.limits.readable:g} on; below it a plate is unreadable\n"
    )
    hardware = Table("provider", "in this ONNX Runtime", "batches", title="hardware", title_justify="left")
    for provider, profile in PROFILES.items():
        batches = ", ".join(map(str, profile.batches)) or "as it comes"
        hardware.add_row(provider, "yes" if provider in available() else "no: see plateward\\[gpu]", batches)
    console.print(hardware)
    console.print(
        "JPEG is decoded by " + ("nvImageCodec with cuda or tensorrt" if has_gpu_decoder() else "the CPU")
    )


@app.command()
def verify(
    models: _Folder = None,
    provider: Annotated[str, typer.Option(help="Hardware to run them on: cpu, cuda or tensorrt.")] = "cpu",
) -> None:
    """Check the files against their manifest, load them and read a generated plate. Ends with 1 when that fails."""
    from scenes.street import render_scene
    from services.recognizer.engine import EngineError
    from services.recognizer.pipeline import Pipeline

    found, chosen = _loaded(models), _provider(provider)
    begun = time.perf_counter()
    try:
        pipeline = Pipeline.load(models, provider=chosen)
    except EngineError as error:
        _end(str(error), 1)
    ready = time.perf_counter() - begun
    plate = "8ABC123"
    texts = [p.text for p in pipeline.recognize(render_scene(5, plates=[plate]).image).plates]
    if plate not in texts:
        _end(
            f"the models load on {provider} and do not read a generated {plate} ({texts}): reinstall them", 1
        )
    print(
        f"models {found.version}: files as in the manifest, warm on {provider} in {ready:.2f} s, {plate} read"
    )


@app.command()
def build(
    cache: Annotated[Path, typer.Option(help="Folder for the engines; ENGINE_CACHE of the recognizer.")],
    models: _Folder = None,
) -> None:
    """Build the TensorRT engines for this machine's GPU, so that the recognizer starts in seconds (minutes, once)."""
    from services.recognizer.engine import PROFILES, EngineError, require
    from services.recognizer.pipeline import Pipeline

    console = Console(stderr=True, highlight=False)
    found = _loaded(models)
    try:
        require("tensorrt")
        cache.mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()
        with console.status(f"building engines for batches of {PROFILES['tensorrt'].batches}"):
            Pipeline.load(models, provider="tensorrt", cache=cache)
    except EngineError as error:
        _end(f"nothing was built: {error}. A CPU needs no build: it runs the models as they are.", 2)
    except OSError as error:
        _end(f"{cache}: {error.strerror}: choose a folder that can be written", 2)
    engines = sorted(cache.glob("*.engine"))
    if not engines:
        _end("TensorRT took no part of the models, so no engine was written; choose cuda for these models", 2)
    took, size = time.perf_counter() - begun, sum(f.stat().st_size for f in engines) / 1e6
    print(f"{len(engines)} engines of models {found.version} in {cache}: {size:.1f} MB, {took:.0f} s")
    print(
        f"start the recognizer with PLATEWARD_RECOGNIZER_PROVIDER=tensorrt PLATEWARD_RECOGNIZER_ENGINE_CACHE={cache}"
    )


def _loaded(folder: Path | None) -> Models:
    from services.recognizer.pipeline import MODELS_FOLDER, ModelError, Models

    try:
        return Models.load(folder or MODELS_FOLDER)
    except ModelError as error:
        _end(str(error), 1)


def _provider(name: str) -> Provider:
    from services.recognizer.engine import PROFILES

    found = next((each for each in PROFILES if each == name), None)
    if found is None:
        _end(f"there is no provider {name}: choose {', '.join(PROFILES)}", 2)
    return found


def _end(message: str, code: int) -> NoReturn:
    Console(stderr=True, highlight=False).print(
        f"models: {message}", markup=False, style="red", soft_wrap=True
    )
    sys.exit(code)
