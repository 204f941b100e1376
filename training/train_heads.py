"""Teach each detection network a little of what the other is for, by a head on the features that it has, which stay as they are.

The plates' network looks at all pixels: a head on its finest features finds vehicles that are too far away for the half of them that the
vehicles' network sees. The vehicles' network knows what a vehicle is: a head on its finest features says where on it plates are. Either costs a
twentieth of another look, and what the network said before does not change (docs/adr/0042).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from training.data import Photo
from training.detector_data import VehicleSamples
from training.loop import Trainer, mixed
from training.models import Detector, VehicleNet
from training.targets import VEHICLE_STRIDES
from training.train_detector import focal, vehicle_loss

BATCH, RATE = 16, 2e-3
Head = Literal["small_vehicles", "plates"]


def _loss(head: Head, found: Tensor, targets: Sequence[Tensor]) -> Tensor:
    plates, *vehicles = targets
    if head == "plates":
        return focal(found[:, 0], *plates[:, :2].unbind(1))
    return vehicle_loss(found, vehicles[-1], VEHICLE_STRIDES[-1])


def train(
    model: Detector | VehicleNet,
    head: Head,
    photos: list[Photo],
    output: Path,
    *,
    minutes: float,
    seed: int,
    threads: int,
    workers: int,
    start: Path,
) -> Path:
    """Train a head; returns the file of the whole network's weights.

    Args:
        model: the detector for its `small_vehicles`, or the vehicle network for its `plates`.
        head: name of the part.
        photos: labelled photographs and generated scenes; what their labels lack is not learnt from.
        output: where the weights are written, `.pt`; what is needed to resume lies beside it.
        minutes: time in all.
        seed: of samples and initial weights.
        threads: CPU threads of the network.
        workers: processes that make samples.
        start: weights of the network; those of the head count not.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    learnt = torch.load(start, weights_only=True)
    own = {k: v for k, v in model.state_dict().items() if k.startswith(f"{head}.")}
    model.load_state_dict({**learnt, **own})
    for name, value in model.named_parameters():
        value.requires_grad_(name.startswith(f"{head}."))
    trainer = Trainer(model, output.with_suffix(".ckpt"), minutes=minutes, rate=RATE, average=0.97)
    samples, device, total = VehicleSamples(photos, [], seed + trainer.step), trainer.device, 0.0
    model.eval()
    part: nn.Module = getattr(model, head)
    part.train()
    for images, *targets in DataLoader(samples, batch_size=BATCH, num_workers=workers, prefetch_factor=4):
        pixels = images.to(device).permute(0, 3, 1, 2).float().div_(255)
        if isinstance(model, VehicleNet):
            pixels = functional.avg_pool2d(pixels, 2)
        with mixed(device):
            with torch.no_grad():
                features = model.fine_features(pixels.contiguous(memory_format=torch.channels_last))
            found = part(features)
        loss = _loss(head, found.float(), [t.to(device) for t in targets])
        trainer.update(loss, clip=5.0)
        total += float(loss.detach())
        if trainer.step % 100 == 0:
            print(
                f"{head} {trainer.clock.progress():4.0%} step {trainer.step} loss {total / 100:.3f} "
                f"{trainer.clock.seconds():.0f} s",
                flush=True,
            )
            total = 0.0
        if trainer.clock.progress() >= 1:
            break
    trainer.save(output)
    return output
