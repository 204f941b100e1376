"""Train the detector: focal loss on the two heat maps, GIoU on boxes, L1 on corners, cross-entropy on classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from training.backbone import imagenet_weights
from training.data import Photo
from training.detector_data import DetectorSamples
from training.loop import Trainer, mixed
from training.models import CORNER_SCALE, Detector
from training.targets import PLATE_STRIDE, VEHICLE_STRIDES

BATCH = 16
RATE = 2e-3
BOX_WEIGHT, LOG_WEIGHT, CORNER_WEIGHT, CLASS_WEIGHT, VEHICLE_WEIGHT = 2.0, 0.4, 1.0, 0.5, 1.0
EPSILON = 1e-5


def focal(logits: Tensor, heat: Tensor, unknown: Tensor) -> Tensor:
    """Penalty-reduced focal loss; cells near a peak count less, cells of unknown content not at all."""
    p = logits.sigmoid().clamp(EPSILON, 1 - EPSILON)
    peak = (heat >= 0.999).float()
    positive = peak * (1 - p) ** 2 * p.log()
    negative = (1 - peak) * (1 - heat) ** 4 * p**2 * (1 - p).log() * (1 - unknown)
    return -(positive + negative).sum() / peak.sum().clamp(min=1)


def box_loss(raw: Tensor, target: Tensor, weight: Tensor, stride: int) -> Tensor:
    """GIoU and logarithmic L1 between predicted and true distances to the four sides.

    Args:
        raw: (m, 4) logarithms in units of the stride.
        target: (m, 4) pixels.
        weight: (m,).
        stride: pixels a cell.
    """
    got = raw.clamp(-4, 5).exp() * stride
    want = target.clamp(min=1)
    overlap = torch.min(got, target)
    inner = (overlap[:, 0] + overlap[:, 2]).clamp(min=0) * (overlap[:, 1] + overlap[:, 3]).clamp(min=0)
    area = (got[:, 0] + got[:, 2]) * (got[:, 1] + got[:, 3])
    union = area + (target[:, 0] + target[:, 2]) * (target[:, 1] + target[:, 3]) - inner
    hull = torch.max(got, target)
    outer = (hull[:, 0] + hull[:, 2]) * (hull[:, 1] + hull[:, 3])
    giou = 1 - inner / union + (outer - union) / outer
    distance = (got.log() - want.log()).abs().mean(1)
    return ((BOX_WEIGHT * giou + LOG_WEIGHT * distance) * weight).sum() / weight.sum()


def plate_loss(output: Tensor, target: Tensor) -> Tensor:
    """Loss of the plate map (n, 13, h, w) against `targets.plate_map`."""
    loss = focal(output[:, 0], target[:, 0], target[:, 1])
    at = target[:, 2] > 0
    if not at.any():
        return loss
    got, want = output.permute(0, 2, 3, 1)[at], target.permute(0, 2, 3, 1)[at]
    loss = loss + box_loss(got[:, 1:5], want[:, 3:7], want[:, 2], PLATE_STRIDE)
    known = want[:, 7] * want[:, 2]
    error = functional.smooth_l1_loss(
        got[:, 5:13], want[:, 8:16] * CORNER_SCALE, reduction="none", beta=0.2
    ).mean(1)
    return loss + CORNER_WEIGHT * (error * known).sum() / known.sum().clamp(min=1)


def vehicle_loss(output: Tensor, target: Tensor, stride: int) -> Tensor:
    """Loss of a vehicle map (n, 9, h, w) against `targets.vehicle_map`."""
    loss = focal(output[:, 0], target[:, 0], target[:, 1])
    at = target[:, 2] > 0
    if not at.any():
        return loss
    got, want = output.permute(0, 2, 3, 1)[at], target.permute(0, 2, 3, 1)[at]
    loss = loss + box_loss(got[:, 1:5], want[:, 3:7], want[:, 2], stride)
    kinds, named = want[:, 7].long(), want[:, 7] >= 0
    if named.any():
        loss = loss + CLASS_WEIGHT * functional.cross_entropy(got[named, 5:9], kinds[named])
    return loss


def _batches(photos: list[Photo], fonts: list[Path], seed: int, workers: int) -> Iterator[list[Tensor]]:
    samples = DetectorSamples(photos, fonts, seed)
    return iter(DataLoader(samples, batch_size=BATCH, num_workers=workers, prefetch_factor=4))


def train(
    photos: list[Photo],
    fonts: list[Path],
    output: Path,
    *,
    minutes: float,
    seed: int,
    threads: int,
    workers: int,
    start: Path | None = None,
) -> Path:
    """Train the detector; returns the file of its averaged weights.

    Args:
        photos: labelled photographs and generated scenes.
        fonts: extra fonts for synthetic plates.
        output: folder for `detector.pt` (weights) and `detector.ckpt` (to resume from).
        minutes: time in all.
        seed: of samples and initial weights.
        threads: CPU threads of the network.
        workers: processes that make samples.
        start: weights to begin with.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    trainer = Trainer(Detector(), output / "detector.ckpt", minutes=minutes, rate=RATE, average=0.99)
    if start:
        trainer.start_from(start)
    else:
        trainer.start_with(imagenet_weights(), "backbone.")
    weights, device = output / "detector.pt", trainer.device
    forward = torch.compile(trainer.model)
    history: list[tuple[float, float]] = []
    trainer.model.train()
    for images, plate_target, *vehicle_targets in _batches(photos, fonts, seed + trainer.step, workers):
        pixels = images.to(device).permute(0, 3, 1, 2).float().div_(255)
        with mixed(device):
            plates, *vehicles = forward(pixels.contiguous(memory_format=torch.channels_last))
        on_plates = plate_loss(plates.float(), plate_target.to(device))
        on_vehicles = sum(
            (
                vehicle_loss(got.float(), want.to(device), stride)
                for got, want, stride in zip(vehicles, vehicle_targets, VEHICLE_STRIDES, strict=True)
            ),
            start=torch.zeros((), device=device),
        )
        trainer.update(on_plates + VEHICLE_WEIGHT * on_vehicles, clip=5.0)
        history.append((float(on_plates.detach()), float(on_vehicles.detach())))
        if trainer.step % 100 == 0:
            mean = np.mean(history, 0)
            history.clear()
            seconds = trainer.clock.seconds()
            print(
                f"detector {trainer.clock.progress():4.0%} step {trainer.step} plates {mean[0]:.3f} "
                f"vehicles {mean[1]:.3f} {seconds:.0f} s",
                flush=True,
            )
        if trainer.step % 500 == 0:
            trainer.save(weights)
        if trainer.clock.progress() >= 1:
            break
    trainer.save(weights)
    return weights
