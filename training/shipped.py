"""Go on from the models that ship: their ONNX files back into networks of PyTorch, so that nobody needs the checkpoints of before.

An exported network has its batch norms folded into its convolutions, and its weights rounded to INT8. `restore` takes the weights as they
are and lays each batch norm anew, from statistics over some inputs, so that the network computes what it computed before and trains on as one
that was never exported.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

Arrays = dict[str, npt.NDArray[np.generic]]


def _module_path(node: str) -> str:
    """'/to8/to8.3/first/first.0/Conv' to 'to8.3.first.0': a sequence's parts carry its name once more."""
    path: list[str] = []
    for part in node.strip("/").split("/")[:-1]:
        if path and part.startswith(f"{path[-1]}."):
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path)


def _axis(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 1)


def _weights(file: Path) -> dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]]:
    """Weight and bias of each convolution and linear layer, in floating point, by the module's path."""
    graph = onnx.load(str(file)).graph
    stored: Arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            whole, scale = stored[node.input[0]].astype(np.float32), stored[node.input[1]]
            zero = stored[node.input[2]].astype(np.float32) if len(node.input) > 2 else np.zeros_like(scale)
            if scale.size > 1:
                shape = [-1 if i == _axis(node) else 1 for i in range(whole.ndim)]
                scale, zero = scale.reshape(shape), zero.reshape(shape)
            stored[node.output[0]] = (whole - zero) * scale
    found = {}
    for node in graph.node:
        if node.op_type in {"Conv", "Gemm"} and node.input[1] in stored:
            bias = stored[node.input[2]] if len(node.input) > 2 else None
            found[_module_path(node.name)] = (
                np.asarray(stored[node.input[1]], np.float32),
                None if bias is None else np.asarray(bias, np.float32),
            )
    return found


def restore(model: nn.Module, file: Path, inputs: Iterable[Tensor]) -> nn.Module:
    """Give a network the weights of an exported one.

    Args:
        model: a network of the same layers; parts that the file lacks keep their own weights.
        file: ONNX, quantised or not.
        inputs: some batches, as many as the statistics of the batch norms need (a few hundred pictures).
    """
    layers = dict(model.named_modules())
    norms = _norm_after(model)
    taken: list[str] = []
    for name, (weight, bias) in _weights(file).items():
        layer = layers.get(name)
        if layer is None:
            continue
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        layer.weight.data = torch.from_numpy(weight.reshape(layer.weight.shape).copy())
        if name in norms and bias is not None:
            norm = norms[name]
            nn.init.ones_(norm.weight)
            norm.bias.data = torch.from_numpy(bias.copy())
            nn.init.zeros_(norm.running_mean)
            nn.init.constant_(norm.running_var, 1 - norm.eps)
            taken.append(name)
        elif bias is not None and layer.bias is not None:
            layer.bias.data = torch.from_numpy(bias.copy())
    _lay_norms(model, {name: (layers[name], norms[name]) for name in taken}, inputs)
    return model


def _norm_after(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """The batch norm that follows each convolution, by the convolution's path: they stand together in a sequence."""
    found = {}
    for name, part in model.named_modules():
        if isinstance(part, nn.Sequential):
            steps = list(part.named_children())
            for (first, conv), (_, norm) in pairwise(steps):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    found[f"{name}.{first}"] = norm
    return found


def _lay_norms(
    model: nn.Module, pairs: dict[str, tuple[nn.Module, nn.BatchNorm2d]], inputs: Iterable[Tensor]
) -> None:
    sums = {name: torch.zeros(3, norm.num_features, dtype=torch.float64) for name, (_, norm) in pairs.items()}

    def watch(name: str) -> object:
        def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            values = output.detach().double().transpose(0, 1).flatten(1)
            sums[name] += torch.stack(
                [torch.full((len(values),), values.shape[1]), values.sum(1), values.square().sum(1)]
            )

        return pairs[name][0].register_forward_hook(hook)

    handles = [watch(name) for name in pairs]
    model.eval()
    with torch.no_grad():
        for batch in inputs:
            model(batch)
    for handle in handles:
        handle.remove()  # type: ignore[attr-defined]
    for name, (_, norm) in pairs.items():
        count, total, squares = sums[name]
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=1e-8)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.data = (variance + norm.eps).sqrt().float()
        norm.bias.data += mean.float()
