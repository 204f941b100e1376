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

from services.recognizer.detect import INPUT_HEIGHT, INPUT_WIDTH, letterbox
from services.recognizer.read import normalise
from training.crops import HEIGHT, WIDTH
from training.data import Photo
from training.models import Detector, Reader

OPSET = 17
FLOAT_FIRST = 3  # layers of the detector that are not quantised
HEADS = ("plates", "vehicles", "small_vehicles")  # modules of the detector, whose names its nodes carry
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


def export_detector(weights: Path, output: Path) -> Path:
    """Write the detector as ONNX with free batch and picture sizes."""
    free = {0: "n", 2: "h", 3: "w"}
    axes = {"pixels": free, "plates": free, "vehicles": free, "small_vehicles": free}
    torch.onnx.export(
        _load(Detector(), weights), (torch.zeros(1, 3, INPUT_HEIGHT, INPUT_WIDTH),), str(output),
        input_names=["pixels"], output_names=list(HEADS), dynamic_axes=axes, opset_version=OPSET,
        dynamo=False,
    )  # fmt: skip
    return output


def _quantise(model: Path, output: Path, inputs: CalibrationDataReader, keep: list[int]) -> Path:
    """Quantise all convolutions but those at the positions `keep`, whose rounding is seen in the result."""
    prepared = output.with_suffix(".prepared.onnx")
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    convolutions = [node.name for node in onnx.load(str(prepared)).graph.node if node.op_type == "Conv"]
    quantize_static(
        str(prepared), str(output), inputs, quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        nodes_to_exclude=[convolutions[i] for i in keep],
    )  # fmt: skip
    prepared.unlink()
    return output


def quantise_reader(model: Path, output: Path, chunk: Path) -> Path:
    """Calibrate on crops of one cache file."""
    crops = np.load(chunk)["crops"][:CALIBRATION_CROPS]
    batches = (normalise(crops[i : i + CROPS_AT_ONCE]) for i in range(0, len(crops), CROPS_AT_ONCE))
    return _quantise(model, output, _Inputs("crops", batches), keep=[-1])


def quantise_detector(model: Path, output: Path, photos: list[Photo], seed: int) -> Path:
    """Calibrate on training photographs.

    The first layers and both heads stay in floating point: rounding there moved the corners by half a percent of a plate's width
    more, enough to change a character now and then, and they cost 2 ms of 8.
    """
    chosen = random.Random(seed).sample(photos, CALIBRATION_PHOTOS)
    arrays = (letterbox(p.load(), INPUT_WIDTH, INPUT_HEIGHT)[0] for p in chosen)
    names = [n.name for n in onnx.load(str(model)).graph.node if n.op_type == "Conv"]
    heads = [i for i, name in enumerate(names) if any(head in name for head in HEADS)]
    return _quantise(model, output, _Inputs("pixels", arrays), keep=[*range(FLOAT_FIRST), *heads])
