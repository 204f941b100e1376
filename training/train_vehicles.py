"""Train the vehicle network: the detector's losses for vehicles, on pictures of half the detector's size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from training.backbone import imagenet_weights
from training.data import Photo
from training.detector_data import VehicleSamples
from training.loop import Trainer, mixed
from training.models import VehicleNet
from training.targets import VEHICLE_STRIDES
from training.train_detector import vehicle_loss

BATCH, RATE, SECOND_RATE = 16, 1.5e-3, 8e-4


def train(
    photos: list[Photo],
    output: Path,
    *,
    minutes: float,
    seed: int,
    threads: int,
    workers: int,
    start: Path | None = None,
) -> Path:
    """Train; returns the file of the averaged weights.

    Args:
        photos: labelled photographs; those whose vehicles are not all labelled are left out.
        output: folder for `vehicles.pt` (weights) and `vehicles.ckpt` (to resume from).
        minutes: time in all.
        seed: of samples and initial weights.
        threads: CPU threads of the network.
        workers: processes that make samples.
        start: weights of a first stage to begin with, at a lower rate, instead of ImageNet's.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rate = SECOND_RATE if start else RATE
    trainer = Trainer(VehicleNet(), output / "vehicles.ckpt", minutes=minutes, rate=rate, average=0.99)
    if start:
        trainer.start_from(start)
    else:
        trainer.start_with(imagenet_weights(), "backbone.")
    weights, device = output / "vehicles.pt", trainer.device
    forward = torch.compile(trainer.model)
    samples = VehicleSamples([p for p in photos if p.vehicles_complete], [], seed + trainer.step)
    total, steps = 0.0, 0
    trainer.model.train()
    for images, *targets in DataLoader(samples, batch_size=BATCH, num_workers=workers, prefetch_factor=4):
        pixels = functional.avg_pool2d(images.to(device).permute(0, 3, 1, 2).float().div_(255), 2)
        with mixed(device):
            maps = forward(pixels.contiguous(memory_format=torch.channels_last))
        loss = sum(
            (
                vehicle_loss(got.float(), want.to(device), stride)
                for got, want, stride in zip(maps, targets, VEHICLE_STRIDES, strict=True)
            ),
            start=Tensor([0.0]).to(device),
        )
        trainer.update(loss, clip=5.0)
        total, steps = total + float(loss.detach()), steps + 1
        if trainer.step % 100 == 0:
            print(
                f"vehicles {trainer.clock.progress():4.0%} step {trainer.step} loss {total / steps:.3f} "
                f"{trainer.clock.seconds():.0f} s",
                flush=True,
            )
            total, steps = 0.0, 0
        if trainer.step % 500 == 0:
            trainer.save(weights)
        if trainer.clock.progress() >= 1:
            break
    trainer.save(weights)
    return weights
