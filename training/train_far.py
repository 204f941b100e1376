"""Teach the plates' network to see vehicles far away: a head on the features that it has, which stay as they are.

The vehicle network looks at half of the pixels; a vehicle of 20 pixels is 10 there. The plates' network looks at all of them anyway, so a head
on its finest features finds such vehicles for a twentieth of a second look's cost, and what it says of plates does not change.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.data import DataLoader

from training.data import Photo
from training.detector_data import VehicleSamples
from training.loop import Trainer, mixed
from training.models import Detector
from training.targets import VEHICLE_STRIDES
from training.train_detector import vehicle_loss

BATCH, RATE = 16, 2e-3
HEAD = "small_vehicles."


def train(
    photos: list[Photo], output: Path, *, minutes: float, seed: int, threads: int, workers: int, start: Path
) -> Path:
    """Train the head; returns the file of the whole network's weights.

    Args:
        photos: labelled photographs and generated scenes; what their labels lack is not learnt from.
        output: folder for `detector-far.pt` (weights) and `detector-far.ckpt` (to resume from).
        minutes: time in all.
        seed: of samples and initial weights.
        threads: CPU threads of the network.
        workers: processes that make samples.
        start: the detector's weights.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = Detector()
    learnt = torch.load(start, weights_only=True)
    model.load_state_dict(
        {**model.state_dict(), **{k: v for k, v in learnt.items() if not k.startswith(HEAD)}}
    )
    for name, value in model.named_parameters():
        value.requires_grad_(name.startswith(HEAD))
    trainer = Trainer(model, output / "detector-far.ckpt", minutes=minutes, rate=RATE, average=0.99)
    weights, device = output / "detector-far.pt", trainer.device
    samples = VehicleSamples(photos, [], seed + trainer.step)
    stride, total = VEHICLE_STRIDES[-1], 0.0
    trainer.model.eval()
    head = trainer.model.small_vehicles.train()
    for images, _, _, target in DataLoader(samples, batch_size=BATCH, num_workers=workers, prefetch_factor=4):
        pixels = images.to(device).permute(0, 3, 1, 2).float().div_(255)
        with mixed(device):
            with torch.no_grad():
                features = trainer.model.fine_features(pixels.contiguous(memory_format=torch.channels_last))
            found = head(features)
        loss = vehicle_loss(found.float(), target.to(device), stride)
        trainer.update(loss, clip=5.0)
        total += float(loss.detach())
        if trainer.step % 100 == 0:
            print(
                f"far {trainer.clock.progress():4.0%} step {trainer.step} loss {total / 100:.3f} "
                f"{trainer.clock.seconds():.0f} s",
                flush=True,
            )
            total = 0.0
        if trainer.step % 500 == 0:
            trainer.save(weights)
        if trainer.clock.progress() >= 1:
            break
    trainer.save(weights)
    return weights
