"""Joins what several threads want of a model into batches of fixed sizes: single pictures and cameras share them.

Rules
-----
1. The first thread of a batch leads: it waits for others until the batch is full or its time is over, and while an earlier
   batch runs; then it runs the batch for all of them. So nobody waits for others while the model is idle and busy threads
   are few, beyond the time set.
2. A batch holds inputs of one shape. It is filled with zeros up to the next size of the profile.
3. A batch that fails fails for everyone in it, and for nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.recognizer.results import Float

Inputs = npt.NDArray[np.float32]


class Runs(Protocol):
    """Something that runs a batch: an engine, or a batcher before it."""

    def run(self, inputs: Inputs) -> list[Float]:
        """Run a batch; returns the model's outputs in their order."""

    def warm_up(self, *shapes: tuple[int, ...]) -> None:
        """Run zeros of each shape once."""


@dataclass(slots=True, eq=False)
class _Batch:
    parts: list[Inputs] = field(default_factory=list)
    rows: int = 0
    full: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    outputs: list[Float] = field(default_factory=list)
    fault: BaseException | None = None

    def add(self, inputs: Inputs) -> slice:
        place = slice(self.rows, self.rows + len(inputs))
        self.parts.append(inputs)
        self.rows = place.stop
        return place


class Batcher:
    """An engine for many threads. Nothing of an input is kept once its batch has run."""

    def __init__(self, engine: Runs, sizes: Sequence[int], *, wait_s: float) -> None:
        """Put a batcher before an engine.

        Args:
            engine: what runs the batches.
            sizes: batch sizes that are run, rising, at least one.
            wait_s: how long the first input waits for others.
        """
        self._engine, self._sizes, self._wait_s = engine, tuple(sizes), wait_s
        self._largest = self._sizes[-1]
        self._lock, self._running = threading.Lock(), threading.Lock()
        self._open: dict[tuple[int, ...], _Batch] = {}

    def run(self, inputs: Inputs) -> list[Float]:
        """Run inputs (n, ...), together with what other threads want; returns the outputs of these inputs."""
        if len(inputs) > self._largest:
            parts = [self.run(inputs[i : i + self._largest]) for i in range(0, len(inputs), self._largest)]
            return [np.concatenate(column) for column in zip(*parts, strict=True)]
        batch, place, leads = self._join(inputs)
        if leads:
            self._lead(batch, inputs.shape[1:])
        else:
            batch.done.wait()
        if batch.fault is not None:
            raise batch.fault
        return [output[place] for output in batch.outputs]

    def warm_up(self, *shapes: tuple[int, ...]) -> None:
        """Run zeros of each shape in every size, so that no call meets a size for the first time."""
        self._engine.warm_up(*((size, *shape[1:]) for shape in shapes for size in self._sizes))

    def _join(self, inputs: Inputs) -> tuple[_Batch, slice, bool]:
        shape = inputs.shape[1:]
        with self._lock:
            batch = self._open.get(shape)
            if batch is not None and batch.rows + len(inputs) > self._largest:
                batch.full.set()
                batch = None
            leads = batch is None
            if batch is None:
                batch = self._open[shape] = _Batch()
            place = batch.add(inputs)
            if batch.rows == self._largest:
                batch.full.set()
                del self._open[shape]
        return batch, place, leads

    def _lead(self, batch: _Batch, shape: tuple[int, ...]) -> None:
        batch.full.wait(self._wait_s)
        try:
            with self._running:
                with self._lock:
                    if self._open.get(shape) is batch:
                        del self._open[shape]
                batch.outputs = self._engine.run(self._filled(batch, shape))
        except BaseException as fault:  # noqa: BLE001 - raised in every thread of the batch
            batch.fault = fault
        finally:
            batch.parts.clear()
            batch.done.set()

    def _filled(self, batch: _Batch, shape: tuple[int, ...]) -> Inputs:
        size = next(size for size in self._sizes if size >= batch.rows)
        if size == batch.rows and len(batch.parts) == 1:
            return batch.parts[0]
        filled = np.zeros((size, *shape), np.float32)
        np.concatenate(batch.parts, out=filled[: batch.rows])
        return filled
