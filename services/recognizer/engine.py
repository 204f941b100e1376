"""One interface over ONNX Runtime: which hardware runs a model, with how many threads, and nothing idle spinning.

Two sessions whose thread pools spin while waiting take the cores from each other; with spinning off the pair is
faster on two threads than one of them alone.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from services.recognizer.results import Float

Provider = Literal["cpu", "cuda", "tensorrt"]
PROVIDERS: dict[Provider, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}


class EngineError(RuntimeError):
    """The hardware asked for cannot run models here. The message says what to install or choose."""


class Engine:
    """A loaded model. Safe to call from several threads at once."""

    def __init__(self, model: bytes, *, provider: Provider = "cpu", threads: int = 1) -> None:
        """Load a model.

        Args:
            model: an ONNX file's bytes (bytes, not a path: what was checked is what runs).
            provider: hardware.
            threads: CPU threads of one call.

        Raises:
            EngineError: the provider is not built into the installed ONNX Runtime, or refuses the model.
        """
        wanted = PROVIDERS[provider]
        if wanted[0] not in ort.get_available_providers():
            message = (
                f"this ONNX Runtime cannot use {provider}; install plateward[gpu] on a GPU node or choose cpu"
            )
            raise EngineError(message)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session: Any = ort.InferenceSession(model, options, providers=list(wanted))
        except Exception as error:  # ONNX Runtime raises several private types
            message = f"ONNX Runtime refuses the model on {provider}; reinstall the models or choose another provider"
            raise EngineError(message) from error
        self._input: str = self._session.get_inputs()[0].name

    def run(self, inputs: npt.NDArray[np.float32]) -> list[Float]:
        """Run a batch; returns the model's outputs in their order."""
        outputs: list[Float] = self._session.run(None, {self._input: inputs})
        return outputs

    def warm_up(self, *shapes: tuple[int, ...]) -> None:
        """Run zeros of each shape once, so that the first real call is as fast as the others."""
        for shape in shapes:
            self.run(np.zeros(shape, np.float32))
