"""Put exported models where the recognizer loads them, with the manifest that names and guards them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from services.recognizer.pipeline import MANIFEST, Limits


def package(models: Mapping[str, Path], limits: Limits, version: str, folder: Path) -> Path:
    """Copy the models (detector, reader, state) into `folder` and write their manifest; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, source in models.items():
        target = folder / f"{name}.onnx"
        shutil.copyfile(source, target)
        files[name] = {"file": target.name, "sha256": hashlib.sha256(target.read_bytes()).hexdigest()}
    manifest = {"version": version, "files": files, "limits": asdict(limits)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return folder
