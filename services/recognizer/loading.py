"""Load the models, and say what is loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from plateward.recognizer.v1 import recognizer_pb2
from services.recognizer.engine import PROFILES, Provider
from services.recognizer.gpu_decode import Decode, decoder
from services.recognizer.pipeline import MODELS_FOLDER, Models, Pipeline


@dataclass(frozen=True, slots=True)
class Loaded:
    """A warm pipeline, what decodes for it, and the description of its models."""

    pipeline: Pipeline
    decode: Decode
    models: recognizer_pb2.GetModelsResponse


def load(folder: Path | None, *, threads: int, provider: Provider, cache: Path | None = None) -> Loaded:
    """Load and warm up the models of a folder, the package's by default.

    Raises:
        ModelError: files missing or altered.
        EngineError: the hardware cannot run them.
    """
    models = Models.load(folder or MODELS_FOLDER)
    described = recognizer_pb2.GetModelsResponse(
        version=models.version,
        provider=PROFILES[provider].providers[0],
        operating_point=models.limits.readable,
    )
    for name, data in models.files.items():
        described.models.add(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    pipeline = Pipeline.load(folder, threads=threads, provider=provider, cache=cache)
    return Loaded(pipeline, decoder(provider), described)
