"""Picture to plates and vehicles, in process: the whole of recognition behind one call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from services.recognizer.detect import Detector, PlateBox, VehicleBox
from services.recognizer.engine import Engine, Provider
from services.recognizer.read import Reader, Reading
from services.recognizer.rectify import box_corners, rectify
from services.recognizer.results import Float, Image, PlateRead, Recognition, VehicleRead
from services.recognizer.second_look import agreed, other_cuts
from services.recognizer.state import StateReader, origins
from services.recognizer.vehicle import UNKNOWN, ColourReader

MODELS_FOLDER = Path(__file__).parent / "models"
MANIFEST = "manifest.json"
OPTIONAL = ("vehicles", "state", "colour")  # model files without which plates are still read
SURE = 0.9  # confidence from which one look at a plate is enough


class ModelError(RuntimeError):
    """The model files are missing, altered or unreadable. The message says how to get them back."""


@dataclass(frozen=True)
class Limits:
    """Thresholds that came with the models.

    Attributes:
        plate, vehicle: least detection scores.
        readable: least confidence of a text that is given.
        shortest: least number of characters of such a text.
        temperature: calibrates the reader's probabilities.
        state: least confidence of an issuing state that is given; above 1, none is.
        state_temperature: calibrates the state network's probabilities.
        colour_temperature: calibrates the colour network's probabilities.
    """

    plate: float
    vehicle: float
    readable: float
    shortest: int
    temperature: float
    state: float = 2.0
    state_temperature: float = 1.0
    colour_temperature: float = 1.0


@dataclass(frozen=True)
class Models:
    """Verified model files of one version; in training there are some without vehicles or states."""

    version: str
    files: Mapping[str, bytes]
    limits: Limits

    @property
    def detector(self) -> bytes:
        """Finds plates."""
        return self.files["detector"]

    @property
    def reader(self) -> bytes:
        """Reads text."""
        return self.files["reader"]

    @staticmethod
    def load(folder: Path) -> Models:
        """Read a folder's manifest and the files it names.

        Raises:
            ModelError: something is missing or a file's SHA-256 is not the manifest's.
        """
        try:
            manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
            limits = Limits(**manifest["limits"])
            names = ("detector", "reader", *(name for name in OPTIONAL if name in manifest["files"]))
            files = {name: _verified(folder, manifest["files"][name]) for name in names}
            return Models(manifest["version"], files, limits)
        except (OSError, KeyError, TypeError, ValueError) as error:
            message = (
                f"no usable models in {folder.name}/ ({error}); reinstall plateward or name another folder"
            )
            raise ModelError(message) from error


def _verified(folder: Path, entry: dict[str, str]) -> bytes:
    data = (folder / entry["file"]).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry["sha256"]:
        message = (
            f"{entry['file']} is not the file that its manifest names (SHA-256 {digest[:12]}, expected "
            f"{entry['sha256'][:12]}); it was altered or damaged: reinstall plateward"
        )
        raise ModelError(message)
    return data


class Pipeline:
    """All networks together. Safe to call from several threads at once; keeps no picture."""

    def __init__(
        self,
        detector: Detector,
        reader: Reader,
        limits: Limits,
        version: str,
        states: StateReader | None = None,
        colours: ColourReader | None = None,
    ) -> None:
        self._detector, self._reader, self._limits = detector, reader, limits
        self._states, self._colours = states, colours
        self.model_version = version

    @staticmethod
    def load(
        models_dir: Path | None = None,
        *,
        threads: int = 1,
        provider: Provider = "cpu",
        cache: Path | None = None,
    ) -> Pipeline:
        """Load and warm up the models.

        Args:
            models_dir: folder with `manifest.json`; the models that come with the package by default.
            threads: CPU threads of one call.
            provider: hardware.
            cache: folder of built TensorRT engines.

        Raises:
            ModelError: model files missing or altered.
            EngineError: the hardware cannot run them.
        """
        # OpenCV's own threads would run beside the engine's and break the bound of `threads`.
        cv2.setNumThreads(threads)
        models = Models.load(models_dir or MODELS_FOLDER)
        limits = models.limits

        def engine(name: str) -> Engine:
            return Engine(models.files[name], provider=provider, threads=threads, cache=cache, name=name)

        detector = Detector(
            engine("detector"),
            engine("vehicles") if "vehicles" in models.files else None,
            plate_threshold=limits.plate,
            vehicle_threshold=limits.vehicle,
        )
        reader = Reader(engine("reader"), temperature=limits.temperature)
        states = None
        if "state" in models.files:
            states = StateReader(engine("state"), temperature=limits.state_temperature, least=limits.state)
            states.warm_up()
        colours = None
        if "colour" in models.files:
            colours = ColourReader(engine("colour"), temperature=limits.colour_temperature)
            colours.warm_up()
        detector.warm_up()
        reader.warm_up()
        return Pipeline(detector, reader, limits, models.version, states, colours)

    def recognize(self, image: Image) -> Recognition:
        """Recognise everything in a picture.

        Args:
            image: (height, width, 3) BGR, at least 16 x 16.

        Returns:
            Plates and vehicles, most certain detections first.
        """
        plates, vehicles = self._detector.detect(image)
        crops = [rectify(image, plate.corners) for plate in plates]
        readings = self._reader.read(crops)
        unsure = [i for i, reading in enumerate(readings) if reading.confidence < SURE]
        states = self._states_of(image, plates, unsure)
        for i in unsure:
            # Where the corners are wrong the box is right: it is one of the other looks.
            looks = [rectify(image, box_corners(plates[i].box)), *other_cuts(crops[i])]
            known = origins(states[i]) if i in states else {}
            readings[i] = agreed([readings[i], *self._reader.read(looks)], known)
        reads = [self._plate(plate, reading) for plate, reading in zip(plates, readings, strict=True)]
        states |= self._states_of(
            image, plates, [i for i, r in enumerate(reads) if r.readable and i not in states]
        )
        if self._states is not None:
            for i, row in states.items():
                if reads[i].readable:
                    state, confidence = self._states.named(row)
                    reads[i] = replace(reads[i], state=state, state_confidence=confidence)
        return Recognition(tuple(reads), self._described(image, vehicles), self.model_version)

    def _states_of(self, image: Image, plates: Sequence[PlateBox], which: Sequence[int]) -> dict[int, Float]:
        """Probabilities of the states of some plates, by the plate's place in the list; none without that network."""
        if self._states is None or not which:
            return {}
        rows = self._states.probabilities([StateReader.crop(image, plates[i].corners) for i in which])
        return dict(zip(which, rows, strict=True))

    def _described(self, image: Image, vehicles: Sequence[VehicleBox]) -> tuple[VehicleRead, ...]:
        colours = [(UNKNOWN, 0.0)] * len(vehicles)
        if self._colours is not None:
            colours = self._colours.read(image, [v.box for v in vehicles])
        return tuple(
            VehicleRead(_xywh(v.box), v.kind, v.kind_confidence, name, share, v.score)
            for v, (name, share) in zip(vehicles, colours, strict=True)
        )

    def _plate(self, plate: PlateBox, best: Reading) -> PlateRead:
        readable = best.confidence >= self._limits.readable and len(best.text) >= self._limits.shortest
        return PlateRead(
            text=best.text if readable else "",
            confidence=best.confidence,
            characters=best.characters if readable else (),
            candidates=best.candidates if readable else (),
            box=_xywh(plate.box),
            corners=np.asarray(plate.corners, np.float32),
            detection=plate.score,
            readable=readable,
        )


def _xywh(box: Float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(v) for v in box)
    return x1, y1, x2 - x1, y2 - y1
