"""One command from the data folder to packaged models: `python -m training all --data ../shared/data --out work/`.

Every step keeps what it made in the output folder and is skipped or resumed when run again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from services.recognizer.engine import Engine
from services.recognizer.pipeline import MODELS_FOLDER, Limits, Pipeline
from services.recognizer.read import Reader as PlateReader
from services.recognizer.read import normalise
from training import (
    calibrate,
    data,
    evaluate,
    export,
    generated,
    package,
    pseudo,
    pseudo_vehicles,
    reader_data,
    shipped,
    state_scores,
    train_colour,
    train_detector,
    train_reader,
    train_state,
    train_vehicles,
)
from training.models import Detector, Reader, StateNet, VehicleNet

GO_ON = "go-on"  # no step of "all": begins the second stages with what ships instead of with first stages
STEPS = (
    "data",
    "detector",
    "vehicles",
    "vehicles2",
    "reader",
    "pseudo",
    "reader2",
    "state",
    "colour",
    "export",
    "evaluate",
)
SOME_CROPS = 1200  # from which the reader's batch norms are laid anew
# Found on the training folder's valid part: below, more false plates than true ones appear.
PLATE_THRESHOLD, VEHICLE_THRESHOLD = 0.3, 0.35
READABLE, SHORTEST = 0.3, 2


@dataclass(frozen=True)
class Plan:
    """What the command line asked for."""

    data: Path
    out: Path
    seed: int
    chunks: int
    scenes: int
    detector_minutes: float
    vehicle_minutes: float
    reader_minutes: float
    state_minutes: float
    colour_minutes: float
    threads: int
    workers: int
    version: str


def _arguments() -> tuple[str, Plan]:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("step", choices=("all", GO_ON, *STEPS), help="one step, or all in order")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder that holds train/ and bench/"
    )
    parser.add_argument("--out", type=Path, default=Path("training/work"), help="where everything is kept")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--chunks", type=int, default=60, help="reader cache files of 5,000 crops, for each stage"
    )
    parser.add_argument("--scenes", type=int, default=600, help="generated street scenes for the detector")
    parser.add_argument("--detector-minutes", type=float, default=45)
    parser.add_argument("--vehicle-minutes", type=float, default=90, help="for each of the two stages")
    parser.add_argument("--reader-minutes", type=float, default=22, help="for each of the two stages")
    parser.add_argument("--state-minutes", type=float, default=30)
    parser.add_argument("--colour-minutes", type=float, default=8)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a network in training")
    parser.add_argument("--workers", type=int, default=2, help="processes that make samples")
    parser.add_argument(
        "--version", default="unreleased", help="written into the manifest and into each read"
    )
    options = vars(parser.parse_args())
    step = options.pop("step")
    return step, Plan(**options)


def _reader_chunks(plan: Plan, stage: int) -> list[Path]:
    labels = plan.out / "pseudo.npz" if stage == 2 else None
    folder = plan.out / f"reader-cache-{stage}"
    seed = plan.seed + stage - 1
    return reader_data.build(
        plan.data, folder, chunks=plan.chunks, seed=seed, workers=plan.workers, pseudo_labels=labels
    )


def make_data(plan: Plan) -> None:
    """Render the reader's first cache and the detector's street scenes."""
    _reader_chunks(plan, 1)
    generated.build(plan.out / "scenes", count=plan.scenes, workers=plan.workers)


def train_the_detector(plan: Plan) -> None:
    """Train on photographs and generated scenes."""
    photos = data.photos(plan.data, "train")
    photos += generated.build(plan.out / "scenes", count=plan.scenes, workers=plan.workers)
    train_detector.train(
        photos, data.font_files(plan.data), plan.out, minutes=plan.detector_minutes, seed=plan.seed,
        threads=plan.threads, workers=plan.workers,
    )  # fmt: skip


def train_the_vehicles(plan: Plan, stage: int) -> None:
    """Train the first stage on completely labelled photographs, or the second from its weights on all of them."""
    photos, start = data.photos(plan.data, "train"), None
    if stage == 2:
        start = plan.out / "vehicles-1" / "vehicles.pt"
        first = export.export_vehicles(start, plan.out / "vehicles-1.onnx")
        plates = export.export_detector(plan.out / "detector.pt", plan.out / "detector.onnx")
        photos = list(pseudo_vehicles.completed(photos, pseudo_vehicles.finder(plates, first)))
    photos += generated.build(plan.out / "scenes", count=plan.scenes, workers=plan.workers)
    folder = plan.out / f"vehicles-{stage}"
    folder.mkdir(parents=True, exist_ok=True)
    train_vehicles.train(
        photos, folder, minutes=plan.vehicle_minutes, seed=plan.seed + stage, threads=plan.threads, workers=plan.workers,
        start=start,
    )  # fmt: skip


def train_the_reader(plan: Plan, stage: int) -> None:
    """Train the first stage, or the second one from the first's weights on both caches."""
    chunks = _reader_chunks(plan, 1) + (_reader_chunks(plan, 2) if stage == 2 else [])
    folder = plan.out / f"reader-{stage}"
    folder.mkdir(parents=True, exist_ok=True)
    start = plan.out / "reader-1" / "reader.pt" if stage == 2 else None
    train_reader.train(
        chunks, folder, minutes=plan.reader_minutes, seed=plan.seed + stage, threads=plan.threads, start=start
    )


def train_the_state(plan: Plan) -> None:
    """Train the network that names the issuing state."""
    train_state.train(
        plan.data,
        plan.out,
        minutes=plan.state_minutes,
        seed=plan.seed,
        threads=plan.threads,
        workers=plan.workers,
    )


def train_the_colour(plan: Plan) -> None:
    """Train the network that names a vehicle's colour."""
    train_colour.train(
        plan.data, plan.out, minutes=plan.colour_minutes, seed=plan.seed, threads=plan.threads, workers=plan.workers
    )  # fmt: skip


def go_on(plan: Plan) -> None:
    """Put what ships where the stages would have left their weights, so that any step can begin with it."""
    photos = data.photos(plan.data, "train")
    whole, looks = ([torch.from_numpy(x) for x in export.looks(photos, plan.seed, part)] for part in (1, 2))
    crops = np.load(_reader_chunks(plan, 1)[0])["crops"][:SOME_CROPS]
    batches = torch.from_numpy(normalise(crops)).split(SOME_CROPS // 10)
    plates = [torch.from_numpy(x) for x in export.state_inputs(plan.data, plan.seed)]
    for model, name, inputs, folders in (
        (Detector(), "detector", whole, ("",)),
        (VehicleNet(), "vehicles", looks, ("vehicles-1", "vehicles-2")),
        (Reader(), "reader", batches, ("reader-1", "reader-2")),
        (StateNet(), "state", plates, ("",)),
    ):
        weights = shipped.restore(model, MODELS_FOLDER / f"{name}.onnx", inputs).state_dict()
        for folder in folders:
            (plan.out / folder).mkdir(parents=True, exist_ok=True)
            torch.save(weights, plan.out / folder / f"{name}.pt")
        print(f"{name} network that ships: weights laid in {plan.out}")


def label_the_rest(plan: Plan) -> None:
    """Let the first reader label what nobody did."""
    reader = export.export_reader(plan.out / "reader-1" / "reader.pt", plan.out / "reader-1.onnx")
    detector = export.export_detector(plan.out / "detector.pt", plan.out / "detector.onnx")
    limits = Limits(PLATE_THRESHOLD, VEHICLE_THRESHOLD, READABLE, SHORTEST, temperature=1.0)
    folder = package.package(
        {"detector": detector, "reader": reader}, limits, "first-stage", plan.out / "first-stage"
    )
    count = pseudo.build(
        plan.data, plan.out / "pseudo.npz", Pipeline.load(folder), PlateReader(Engine(reader.read_bytes()))
    )
    print(f"{count} pictures labelled by the first reader")


def export_models(plan: Plan) -> None:
    """Export, quantise, calibrate and package all models."""
    vehicles = export.export_vehicles(plan.out / "vehicles-2" / "vehicles.pt", plan.out / "vehicles.onnx")
    detector = export.export_detector(plan.out / "detector.pt", plan.out / "detector.onnx")
    reader = export.export_reader(plan.out / "reader-2" / "reader.pt", plan.out / "reader.onnx")
    photos = data.photos(plan.data, "train")
    small_detector = export.quantise_detector(detector, plan.out / "detector.int8.onnx", photos, plan.seed)
    small_vehicles = export.quantise_vehicles(vehicles, plan.out / "vehicles.int8.onnx", photos, plan.seed)
    small_reader = export.quantise_reader(reader, plan.out / "reader.int8.onnx", _reader_chunks(plan, 2)[0])
    temperature = calibrate.temperature(small_reader, plan.data, plan.seed)
    state = export.export_state(plan.out / "state.pt", plan.out / "state.onnx")
    small_state = export.quantise_state(state, plan.out / "state.int8.onnx", plan.data, plan.seed)
    least, state_temperature = state_scores.calibrated(small_state, plan.data)
    colour = export.export_colour(plan.out / "colour.pt", plan.out / "colour.onnx")
    limits = Limits(
        PLATE_THRESHOLD, VEHICLE_THRESHOLD, READABLE, SHORTEST, temperature, least, state_temperature,
    )  # fmt: skip
    models = {
        "detector": small_detector,
        "reader": small_reader,
        "vehicles": small_vehicles,
        "state": small_state,
        "colour": colour,
    }
    package.package(models, limits, plan.version, plan.out / "models")


def evaluate_models(plan: Plan) -> None:
    """Measure the packaged models and write the numbers beside the predictions."""
    output = plan.out / "evaluation"
    output.mkdir(parents=True, exist_ok=True)
    result = evaluate.report(plan.out / "models", plan.data, output)
    result["onnxruntime"] = onnxruntime.__version__
    (output / "report.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def main() -> None:
    """Run the step asked for, or all."""
    step, plan = _arguments()
    plan.out.mkdir(parents=True, exist_ok=True)
    actions = {
        "data": make_data,
        "detector": train_the_detector,
        "vehicles": lambda p: train_the_vehicles(p, 1),
        "vehicles2": lambda p: train_the_vehicles(p, 2),
        "reader": lambda p: train_the_reader(p, 1),
        "pseudo": label_the_rest,
        "reader2": lambda p: train_the_reader(p, 2),
        "state": train_the_state,
        "colour": train_the_colour,
        GO_ON: go_on,
        "export": export_models,
        "evaluate": evaluate_models,
    }
    for name in STEPS if step == "all" else (step,):
        print(f"--- {name}", flush=True)
        actions[name](plan)


if __name__ == "__main__":
    main()
