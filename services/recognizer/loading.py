"""Load the models, and say what is loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from plateward.recognizer.v1 import recognizer_pb2
from services.recognizer.engine import PROVIDERS, Provider
from services.recognizer.pipeline import MODELS_FOLDER, Models, Pipeline


@dataclass(frozen=True, slots=True)
class Loaded:
    """A warm pipeline and the description of its models."""

    pipeline: Pipeline
    models: recognizer_pb2.GetModelsResponse


def load(folder: Path | None, *, threads: int, provider: Provider) -> Loaded:
    """Load and warm up the models of a folder, the package's by default.

    Raises:
        ModelError: files missing or altered.
        EngineError: the hardware cannot run them.
    """
    models = Models.load(folder or MODELS_FOLDER)
    described = recognizer_pb2.GetModelsResponse(
        version=models.version, provider=PROVIDERS[provider][0], operating_point=models.limits.readable
    )
    for name, data in (("detector", models.detector), ("reader", models.reader)):
        described.models.add(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    return Loaded(Pipeline.load(folder, threads=threads, provider=provider), described)
