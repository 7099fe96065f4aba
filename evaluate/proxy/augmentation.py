"""Augmentation of a whole batch on the batch's device: shifts, mirroring, mixup, cutmix, RandAugment."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class MixSettings(Protocol):
    """The training settings that ``mix`` reads: the alphas, 0 for none."""

    @property
    def mixup(self) -> float:
        """Alpha of mixup."""
        ...

    @property
    def cutmix(self) -> float:
        """Alpha of cutmix."""
        ...


def augment(pixels: Tensor, padding: int, mirrored: bool, generator: torch.Generator) -> Tensor:
    """Shift every image by up to ``padding`` pixels and mirror half of them, in one gather.

    Args:
        pixels: ``(n, h, w, 3)`` uint8.
        padding: largest shift in pixels; the pixels shifted in are black.
        mirrored: whether to mirror half of the images.
        generator: a CPU generator.

    Returns:
        ``(n, h, w, 3)`` uint8.
    """
    count, height, width, _ = pixels.shape
    if padding == 0 and not mirrored:
        return pixels
    padded = functional.pad(pixels, (0, 0, padding, padding, padding, padding))
    shift = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator)
    rows = shift[0] + torch.arange(height)
    columns = shift[1] + torch.arange(width)
    if mirrored:
        flip = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(flip, columns.flip(1), columns)
    device = pixels.device
    index = torch.arange(count, device=device)[:, None, None]
    rows, columns = rows.to(device, non_blocking=True), columns.to(device, non_blocking=True)
    return padded[index, rows[:, :, None], columns[:, None, :]]


def mix(
    images: Tensor, labels: Tensor, classes: int, settings: MixSettings, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix a batch with a permutation of itself by mixup or by cutmix; if both are set, by one of them at random.

    Mixup: Zhang et al. 2018, equation 1; cutmix: Yun et al. 2019, equations 1 and 2. The share of the first image is
    drawn from Beta(alpha, alpha), once per batch.

    Args:
        images: ``(n, 3, h, w)`` float.
        labels: ``(n,)`` int64.
        classes: number of classes.
        settings: the alphas ``mixup`` and ``cutmix``; an alpha of 0 turns its method off.
        generator: a CPU generator.

    Returns:
        Images of the same shape, and labels: unchanged ``(n,)``, or probabilities ``(n, classes)``.
    """
    cut = settings.cutmix > 0 and (settings.mixup == 0 or bool(torch.rand((), generator=generator) < 0.5))
    alpha = settings.cutmix if cut else settings.mixup
    if alpha == 0:
        return images, labels
    order = torch.randperm(len(labels), generator=generator).to(images.device, non_blocking=True)
    share = _beta(alpha, generator)
    if cut:
        images, share = _cut(images, images[order], share, generator)
    else:
        images = share * images + (1 - share) * images[order]
    own = functional.one_hot(labels, classes).to(images.dtype)
    return images, share * own + (1 - share) * own[order]


def rand_augment(pixels: Tensor, magnitude: int) -> Tensor:
    """Apply RandAugment (Cubuk et al. 2020) with two operations to each image, by torchvision's v2 transform.

    Args:
        pixels: ``(n, h, w, 3)`` uint8.
        magnitude: 0 to 30; 9 is the paper's for ResNet-50.

    Returns:
        Images of the same shape. The operations are drawn from torch's global random state, which each trial seeds.
    """
    from torchvision.transforms import v2

    transform = v2.RandAugment(num_ops=2, magnitude=magnitude)
    images = [transform(image) for image in pixels.permute(0, 3, 1, 2)]
    return torch.stack(images).permute(0, 2, 3, 1)


def _cut(images: Tensor, others: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, float]:
    """Paste a box of ``others``, ``1 - share`` of the area, into the images; return them and the exact share left."""
    height, width = images.shape[2:]
    ratio = math.sqrt(1 - share)
    centre = torch.rand(2, generator=generator).tolist()
    spans = []
    for place, side in zip(centre, (height, width), strict=True):
        middle, half = int(place * side), int(side * ratio) // 2
        spans.append((max(0, middle - half), min(side, middle + half)))
    (top, bottom), (left, right) = spans
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """Draw from Beta(alpha, alpha) as a ratio of gammas: torch's own distribution takes no generator."""
    shape = torch.full((2,), alpha, dtype=torch.float64)
    first, second = torch._standard_gamma(shape, generator=generator).tolist()
    return first / (first + second) if first + second > 0 else 0.5
