"""Weights to ONNX, and ONNX to INT8 by static quantisation (QDQ, per channel, calibrated on training pictures)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from services.recognizer import detect, state
from services.recognizer.detect import INPUT_HEIGHT, INPUT_WIDTH, letterbox
from services.recognizer.read import normalise
from services.recognizer.vehicle import SIDE
from training.crops import HEIGHT, WIDTH
from training.data import Photo
from training.models import ColourNet, Detector, Reader, StateNet, VehicleNet
from training.state_pictures import TRAIN, as_input, degraded, load, pictures

OPSET = 17
# What stays in floating point: the first layers and the heads, whose rounding moved the corners by half a percent of a plate's width;
# and what has three channels, on which INT8 kernels are slower than those for floats.
DETECTOR_FLOAT = ("/plates/", "/to8/to8.0", "/to8/to8.1", "/to8/to8.2")
VEHICLE_FLOAT = (
    "/vehicles/vehicles.2",
    "/small_vehicles/small_vehicles.1",
    "/backbone/Mul",
    "/backbone/Sub",
    "/backbone/stem",
)
STATE_FLOAT = ("/backbone/Mul", "/backbone/Sub", "/backbone/stem", "/head/")
CALIBRATION_CROPS, CALIBRATION_PHOTOS, CROPS_AT_ONCE = 400, 100, 8


class _Inputs(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, arrays: Iterable[npt.NDArray[np.float32]]) -> None:
        self._items: Iterator[dict[str, npt.NDArray[np.float32]]] = iter({name: a} for a in arrays)

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        return next(self._items, None)


def _load(model: nn.Module, weights: Path) -> nn.Module:
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()


def export_reader(weights: Path, output: Path) -> Path:
    """Write the reader as ONNX with a free batch size."""
    axes = {"crops": {0: "n"}, "columns": {0: "n"}}
    torch.onnx.export(
        _load(Reader(), weights), (torch.zeros(1, 1, HEIGHT, WIDTH),), str(output), input_names=["crops"],
        output_names=["columns"], dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return output


def export_state(weights: Path, output: Path) -> Path:
    """Write the state network as ONNX with a free batch size."""
    axes = {"plates": {0: "n"}, "states": {0: "n"}}
    torch.onnx.export(
        _load(StateNet(), weights), (torch.zeros(1, 3, state.HEIGHT, state.WIDTH),), str(output), input_names=["plates"],
        output_names=["states"], dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return output


def export_colour(weights: Path, output: Path) -> Path:
    """Write the colour network as ONNX with a free batch size; it is too small to be worth quantising."""
    axes = {"vehicles": {0: "n"}, "colours": {0: "n"}}
    torch.onnx.export(
        _load(ColourNet(), weights), (torch.zeros(1, 3, SIDE, SIDE),), str(output), input_names=["vehicles"],
        output_names=["colours"], dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return output


def quantise_state(model: Path, output: Path, data: Path, seed: int) -> Path:
    """Calibrate on degraded pictures of plates that were trained on."""
    return _quantise(model, output, _Inputs("plates", state_inputs(data, seed)), keep=STATE_FLOAT)


def state_inputs(data: Path, seed: int) -> Iterator[npt.NDArray[np.float32]]:
    """Some degraded pictures of plates that were trained on, as the state network takes them."""
    rng = random.Random(seed)
    for path, _ in rng.sample(pictures(data, TRAIN), CALIBRATION_CROPS // 2):
        yield as_input(degraded(load(path), rng))


def export_detector(weights: Path, output: Path) -> Path:
    """Write the detector's plates as ONNX with free batch and picture sizes; its maps of vehicles were for training only."""
    whole, free = output.with_suffix(".whole.onnx"), {0: "n", 2: "h", 3: "w"}
    torch.onnx.export(
        _load(Detector(), weights), (torch.zeros(1, 3, INPUT_HEIGHT, INPUT_WIDTH),), str(whole), input_names=["pixels"],
        output_names=["plates", "vehicles", "small_vehicles"], dynamic_axes={"pixels": free, "plates": free},
        opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    onnx.utils.extract_model(str(whole), str(output), ["pixels"], ["plates"])
    whole.unlink()
    return output


def export_vehicles(weights: Path, output: Path) -> Path:
    """Write the vehicle network as ONNX with free batch and picture sizes."""
    free = {0: "n", 2: "h", 3: "w"}
    torch.onnx.export(
        _load(VehicleNet(), weights), (torch.zeros(1, 3, INPUT_HEIGHT // 2, INPUT_WIDTH // 2),), str(output), input_names=["pixels"],
        output_names=["vehicles", "small_vehicles"], dynamic_axes={"pixels": free, "vehicles": free, "small_vehicles": free},
        opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return output


def _quantise(model: Path, output: Path, inputs: CalibrationDataReader, keep: tuple[str, ...]) -> Path:
    """Quantise all nodes but those whose names begin with one of `keep`.

    Weights keep seven bits: on CPUs without VNNI the kernels add pairs of products in 16 bits, which eight overflow, so that
    the same model would read otherwise there.
    """
    prepared = output.with_suffix(".prepared.onnx")
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    kept = [node.name for node in onnx.load(str(prepared)).graph.node if node.name.startswith(keep)]
    quantize_static(
        str(prepared), str(output), inputs, quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
        nodes_to_exclude=kept,
    )  # fmt: skip
    prepared.unlink()
    return output


def quantise_reader(model: Path, output: Path, chunk: Path) -> Path:
    """Calibrate on crops of one cache file."""
    crops = np.load(chunk)["crops"][:CALIBRATION_CROPS]
    batches = (normalise(crops[i : i + CROPS_AT_ONCE]) for i in range(0, len(crops), CROPS_AT_ONCE))
    return _quantise(model, output, _Inputs("crops", batches), keep=("/head/",))


def quantise_detector(model: Path, output: Path, photos: list[Photo], seed: int) -> Path:
    """Calibrate on training photographs."""
    return _quantise(model, output, _Inputs("pixels", looks(photos, seed, 1)), keep=DETECTOR_FLOAT)


def quantise_vehicles(model: Path, output: Path, photos: list[Photo], seed: int) -> Path:
    """Calibrate on training photographs at half size."""
    return _quantise(model, output, _Inputs("pixels", looks(photos, seed, 2)), keep=VEHICLE_FLOAT)


def looks(photos: list[Photo], seed: int, divisor: int) -> Iterator[npt.NDArray[np.float32]]:
    """Some photographs as a network sees them, at the detector's size divided by `divisor`."""
    size = INPUT_WIDTH // divisor, INPUT_HEIGHT // divisor
    for photo in random.Random(seed).sample(photos, CALIBRATION_PHOTOS):
        yield detect.as_input(letterbox(photo.load(), *size)[0])
