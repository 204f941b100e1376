"""Settings of ``recognizer``; each is an environment variable with the prefix ``PLATEWARD_RECOGNIZER_``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import MIB, ServiceSettings


class RecognizerSettings(ServiceSettings):
    """What ``recognizer`` needs beyond what every service needs."""

    model_config = SettingsConfigDict(env_prefix="PLATEWARD_RECOGNIZER_", extra="forbid", frozen=True)

    models_dir: Path | None = Field(
        default=None,
        description="Folder with the models and their manifest; the models of the package if left out.",
    )
    provider: Literal["cpu", "cuda", "tensorrt"] = Field(
        default="cpu", description="Hardware that runs the models: cpu, cuda or tensorrt."
    )
    engine_cache: Path | None = Field(
        default=None,
        description="Folder of TensorRT engines built by `plateward models build`; without one they are built at each start.",
    )
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of one recognition.")
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Threads that decode and recognise; left out, one for each CPU core, and four with cuda or tensorrt.",
    )
    queue_most: int = Field(
        default=32, ge=1, description="Single pictures that wait; one more is answered RESOURCE_EXHAUSTED."
    )
    stream_queue_most: int = Field(
        default=16, ge=1, le=1024, description="Frames of one camera that wait; one more drops the oldest."
    )
    streams_most: int = Field(default=128, ge=1, description="Cameras that are followed at the same time.")
    stream_idle_seconds: float = Field(
        default=60.0, gt=0, description="How long a camera's stream may send nothing before it is closed."
    )
    image_most_bytes: int = Field(
        default=16 * MIB, ge=1024, description="Largest picture accepted, in bytes of its file."
    )
    pass_gap_seconds: float = Field(
        default=1.5,
        gt=0,
        le=30,
        description="How long a plate may be out of sight and still be in the same pass.",
    )
    pass_longest_seconds: float = Field(
        default=20.0,
        gt=0,
        le=600,
        description="When a vehicle that stays in view is reported; its further frames add no second sighting.",
    )
