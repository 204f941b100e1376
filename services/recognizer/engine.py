"""One interface over ONNX Runtime: which hardware runs a model, in which batches, and nothing idle spinning.

Rules
-----
1. What is particular to a provider stands in its profile; nothing else asks which hardware there is.
2. A CPU gains nothing from batches (four pictures take four times as long as one): what comes is run as it comes. A GPU runs
   fixed batch sizes, so that no call meets a shape for which kernels must be chosen or an engine built.
3. Two sessions whose thread pools spin while waiting take the cores from each other; with spinning off the pair is faster on
   two threads than one of them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from services.recognizer.batching import Batcher, Runs
from services.recognizer.results import Float

Provider = Literal["cpu", "cuda", "tensorrt"]
Shape = tuple[int, ...]
Options = dict[str, str]


@dataclass(frozen=True, slots=True)
class Profile:
    """How a provider runs models.

    Attributes:
        providers: ONNX Runtime's names, the first one wanted, the others for what it cannot run.
        batches: sizes that are run, rising; what comes is filled up to the next one. Empty: as it comes.
        wait_s: how long the first input of a batch waits for others.
        callers: threads for each CPU core that decode and wait, so that batches fill.
    """

    providers: tuple[str, ...]
    batches: tuple[int, ...] = ()
    wait_s: float = 0.0
    callers: int = 1


PROFILES: Mapping[Provider, Profile] = MappingProxyType({
    "cpu": Profile(("CPUExecutionProvider",)),
    "cuda": Profile(("CUDAExecutionProvider", "CPUExecutionProvider"), (1, 4, 16), 0.002, 4),
    "tensorrt": Profile(
        ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"), (1, 4, 16), 0.002, 4
    ),
})  # fmt: skip


class EngineError(RuntimeError):
    """The hardware asked for cannot run models here. The message says what to install or choose."""


def available() -> tuple[Provider, ...]:
    """Return the providers that this ONNX Runtime has; a GPU may still be missing."""
    built = ort.get_available_providers()
    return tuple(name for name, profile in PROFILES.items() if profile.providers[0] in built)


def require(provider: Provider) -> None:
    """Check that the installed ONNX Runtime has a provider.

    Raises:
        EngineError: it has not.
    """
    if provider not in available():
        message = (
            f"this ONNX Runtime cannot use {provider} (it has: {', '.join(available())}); on a GPU node replace the package "
            f"onnxruntime by plateward[gpu] (pip uninstall onnxruntime; pip install 'plateward[gpu]'), or choose cpu"
        )
        raise EngineError(message)


def provider_options(provider: Provider, cache: Path | None, name: str) -> list[Options]:
    """Return the options of each of a provider's ONNX Runtime providers.

    Args:
        provider: hardware.
        cache: folder of built TensorRT engines; without one they are built at every start.
        name: prefix of the engine files, unique for a model.
    """
    own: dict[str, Options] = {
        "CUDAExecutionProvider": {
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC",
        },
        "TensorrtExecutionProvider": {"trt_fp16_enable": "1", "trt_int8_enable": "1"},
    }
    if cache is not None:
        own["TensorrtExecutionProvider"] |= {
            "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache), "trt_engine_cache_prefix": name,
            "trt_timing_cache_enable": "1", "trt_timing_cache_path": str(cache),
        }  # fmt: skip
    return [own.get(each, {}) for each in PROFILES[provider].providers]


class Engine:
    """A loaded model. Safe to call from several threads at once; where the profile has batches, they share them."""

    def __init__(
        self,
        model: bytes,
        *,
        provider: Provider = "cpu",
        threads: int = 1,
        cache: Path | None = None,
        name: str = "model",
        profile: Profile | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: an ONNX file's bytes (bytes, not a path: what was checked is what runs).
            provider: hardware.
            threads: CPU threads of one call.
            cache: folder of built TensorRT engines.
            name: what the model is called among them.
            profile: batches other than the provider's own.

        Raises:
            EngineError: the provider is not built into the installed ONNX Runtime, finds no hardware, or refuses the model.
        """
        profile = profile or PROFILES[provider]
        session = _Session(model, provider=provider, threads=threads, cache=cache, name=name)
        self._runs: Runs = session
        if profile.batches:
            self._runs = Batcher(session, profile.batches, wait_s=profile.wait_s)

    def run(self, inputs: npt.NDArray[np.float32]) -> list[Float]:
        """Run inputs (n, ...); returns the model's outputs in their order."""
        return self._runs.run(inputs)

    def warm_up(self, *shapes: Shape) -> None:
        """Run zeros of each shape once, in every batch size: the first real call is as fast as the others."""
        self._runs.warm_up(*shapes)


class _Session:
    """A session of ONNX Runtime."""

    def __init__(
        self, model: bytes, *, provider: Provider, threads: int, cache: Path | None, name: str
    ) -> None:
        require(provider)
        wanted = PROFILES[provider].providers
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        given = list(zip(wanted, provider_options(provider, cache, name), strict=True))
        try:
            self._session: Any = ort.InferenceSession(model, options, providers=given)
        except Exception as error:  # ONNX Runtime raises several private types
            message = f"ONNX Runtime refuses the model on {provider}; reinstall the models or choose another provider"
            raise EngineError(message) from error
        # Without a driver or a GPU, ONNX Runtime goes on with the next provider and only logs it.
        if wanted[0] not in self._session.get_providers():
            message = f"no {provider} hardware answers here; check the driver (nvidia-smi) and its libraries, or choose cpu"
            raise EngineError(message)
        self._input: str = self._session.get_inputs()[0].name

    def run(self, inputs: npt.NDArray[np.float32]) -> list[Float]:
        outputs: list[Float] = self._session.run(None, {self._input: inputs})
        return outputs

    def warm_up(self, *shapes: Shape) -> None:
        for shape in shapes:
            self.run(np.zeros(shape, np.float32))
