"""What both trainings share: schedule, weight averaging, checkpoints to resume from."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

WARM_UP_STEPS = 150
GENTLE = 0.25  # rate of a backbone that has learnt before, relative to the others
FLOOR = 0.02  # the learning rate's last value, relative to its peak


@dataclass
class Clock:
    """Progress by time: a training is given minutes, not steps, since machines differ more than recipes.

    Attributes:
        minutes: how long the training may run in all, over all resumptions.
        spent: seconds already used.
    """

    minutes: float
    spent: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Seconds used so far."""
        return self.spent + time.monotonic() - self.started

    def progress(self) -> float:
        """Share of the time used so far, 0 to 1."""
        return min(1.0, self.seconds() / (self.minutes * 60))


def mixed(device: torch.device) -> torch.autocast:
    """bfloat16 where the hardware computes in it; a CPU that only imitates it takes ten times as long."""
    real = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - there is no public question
    return torch.autocast(device.type, torch.bfloat16, enabled=real)


class Trainer:
    """A model with its optimiser, its averaged weights and its checkpoint file."""

    def __init__(
        self, model: nn.Module, checkpoint: Path, *, minutes: float, rate: float, average: float
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device, memory_format=torch.channels_last)
        parts: dict[float, list[nn.Parameter]] = {}
        for name, value in self.model.named_parameters():
            parts.setdefault(GENTLE if name.startswith("backbone.") else 1.0, []).append(value)
        groups = [{"params": values, "share": share} for share, values in parts.items()]
        self.optimiser = torch.optim.AdamW(groups, rate, weight_decay=0.02, betas=(0.9, 0.98))
        self.checkpoint, self.rate, self.average = checkpoint, rate, average
        self.clock, self.step = Clock(minutes), 0
        self.averaged = {k: v.detach().clone().float() for k, v in self.model.state_dict().items()}
        if checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        state: dict[str, Any] = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.averaged, self.step = state["averaged"], state["step"]
        self.clock = Clock(self.clock.minutes, spent=state["spent"])

    def start_from(self, weights: Path) -> None:
        """Begin with the averaged weights of another training (a second stage on new data)."""
        if self.step == 0:
            self.model.load_state_dict(torch.load(weights, map_location=self.device, weights_only=True))
            self.averaged = {k: v.detach().clone().float() for k, v in self.model.state_dict().items()}

    def start_with(self, weights: dict[str, torch.Tensor], part: str) -> None:
        """Begin with weights that a part of the model, named by its prefix, has learnt elsewhere."""
        if self.step == 0:
            own = self.model.state_dict()
            own.update({f"{part}{name}": value for name, value in weights.items()})
            self.model.load_state_dict(own)
            self.averaged = {k: v.detach().clone().float() for k, v in own.items()}

    def update(self, loss: torch.Tensor, clip: float) -> None:
        """One optimiser step with warm-up and cosine decay over the clock's time."""
        progress = self.clock.progress()
        decay = FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * self.rate * min(1.0, (self.step + 1) / WARM_UP_STEPS) * decay
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimiser.step()
        self.step += 1
        if self.step % 10 == 0:
            self._average()

    def _average(self) -> None:
        keep = min(self.average, self.step / (self.step + 200))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.dtype.is_floating_point:
                    self.averaged[name].mul_(keep).add_(value.float(), alpha=1 - keep)
                else:
                    self.averaged[name].copy_(value)

    def save(self, weights: Path) -> None:
        """Write the checkpoint and the averaged weights, each by rename, so that an interruption leaves the old file."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        state |= {"averaged": self.averaged, "spent": self.clock.seconds()}
        types = self.model.state_dict()
        averaged = {k: v.to(types[k].dtype) for k, v in self.averaged.items()}
        for path, content in ((self.checkpoint, state), (weights, averaged)):
            part = path.with_suffix(".part")
            torch.save(content, part)
            part.replace(path)
