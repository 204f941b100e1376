"""Train the state network: cross-entropy with smoothed labels, from ImageNet weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from training.backbone import imagenet_weights
from training.loop import Trainer, mixed
from training.models import StateNet
from training.state_data import StateSamples

BATCH, RATE, SMOOTHING = 32, 1.5e-3, 0.05


def train(data: Path, output: Path, *, minutes: float, seed: int, threads: int, workers: int) -> Path:
    """Train; returns the file of the averaged weights.

    Args:
        data: folder that holds train/.
        output: folder for `state.pt` (weights) and `state.ckpt` (to resume from).
        minutes: time in all.
        seed: of samples and initial weights.
        threads: CPU threads of the network.
        workers: processes that make samples.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    trainer = Trainer(StateNet(), output / "state.ckpt", minutes=minutes, rate=RATE, average=0.99)
    trainer.start_with(imagenet_weights(), "backbone.")
    weights, device = output / "state.pt", trainer.device
    forward = torch.compile(trainer.model)
    samples = StateSamples(data, seed + trainer.step)
    loss_sum = right = count = 0.0
    trainer.model.train()
    for images, labels in DataLoader(samples, batch_size=BATCH, num_workers=workers, prefetch_factor=4):
        pixels = images.to(device).permute(0, 3, 1, 2).float().div_(255)
        with mixed(device):
            logits = forward(pixels.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits.float(), labels.to(device), label_smoothing=SMOOTHING)
        trainer.update(loss, clip=5.0)
        loss_sum, count = loss_sum + float(loss.detach()), count + 1
        right += float((logits.argmax(1).cpu() == labels).float().mean())
        if trainer.step % 50 == 0:
            print(
                f"state {trainer.clock.progress():4.0%} step {trainer.step} loss {loss_sum / count:.3f} "
                f"right {right / count:.3f} {trainer.clock.seconds():.0f} s",
                flush=True,
            )
            loss_sum = right = count = 0.0
        if trainer.step % 300 == 0:
            trainer.save(weights)
        if trainer.clock.progress() >= 1:
            break
    trainer.save(weights)
    return weights
