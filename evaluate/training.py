"""The proxy's training loop: preloaded uint8 images, augmentation a batch at a time, channels_last, cosine schedule.

Imports nothing but torch (and numpy through it), so that it runs wherever torch does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.evaluate.faults import Diverged
from nas.evaluate.proxy_settings import ProxySettings


@dataclass(frozen=True, slots=True)
class Images:
    """A part of a data set on the device: ``pixels (n, h, w, 3)`` uint8 and ``labels (n,)`` int64."""

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and reciprocal standard deviation of each channel in 0..255, shape ``(3,)``."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def measure(cls, pixels: Tensor, sample: int = 10_000) -> Normalisation:
        """Measure on (at most ``sample`` of) the training images."""
        step = max(1, len(pixels) // sample)
        values = pixels[::step].reshape(-1, 3).double()
        return cls(values.mean(0).float(), 1 / values.std(0).clamp_min(1.0).float())

    def __call__(self, pixels: Tensor) -> Tensor:
        """Turn ``(n, h, w, 3)`` uint8 into ``(n, 3, h, w)`` float32 in channels_last memory."""
        return ((pixels.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


def train(
    module: nn.Module,
    images: Images,
    normalise: Normalisation,
    settings: ProxySettings,
    mirrored: bool,
    generator: torch.Generator,
) -> None:
    """Train ``module`` in place.

    Args:
        module: maps ``(n, 3, h, w)`` to logits; on the images' device, in channels_last.
        images: the training part.
        normalise: pixel statistics.
        settings: epochs, batch size, optimizer and augmentation.
        mirrored: whether images may be mirrored.
        generator: a CPU generator for the order of images and for the augmentation.

    Raises:
        Diverged: when the loss is no longer finite.
    """
    set_batch_norm_momentum(module, settings.batch_norm_momentum)
    optimizer = make_optimizer(module, settings)
    batches = max(1, len(images.labels) // settings.batch_size)
    steps = settings.epochs * batches
    loss_function = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    module.train()
    for step, rows in enumerate(_batches(len(images.labels), settings, batches, generator)):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule(step, steps, settings.warmup)
        rows = rows.to(images.labels.device)
        pixels = augment(images.pixels[rows], settings.crop_padding, mirrored, generator)
        logits = module(normalise(pixels))
        if step == 0:
            _check_logits(logits, int(images.labels.max()) + 1)
        loss = loss_function(logits, images.labels[rows])
        if step % 10 == 0 and not math.isfinite(value := loss.item()):
            raise Diverged(f"loss is {value} in epoch {step // batches + 1} of {settings.epochs}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


@torch.inference_mode()
def accuracy(module: nn.Module, images: Images, normalise: Normalisation, batch_size: int = 256) -> float:
    """Return the fraction of images whose largest logit is at their label.

    Raises:
        Diverged: if a logit is not finite.
    """
    module.eval()
    correct = torch.zeros((), dtype=torch.int64, device=images.labels.device)
    for start in range(0, len(images.labels), batch_size):
        rows = slice(start, start + batch_size)
        logits = module(normalise(images.pixels[rows]))
        if not torch.isfinite(logits).all():
            raise Diverged("a logit is not finite after training")
        correct += (logits.argmax(1) == images.labels[rows]).sum()
    return correct.item() / len(images.labels)


def augment(pixels: Tensor, padding: int, mirrored: bool, generator: torch.Generator) -> Tensor:
    """Shift every image by up to ``padding`` pixels and mirror half of them, in one gather.

    Args:
        pixels: ``(n, h, w, 3)`` uint8.
        padding: largest shift; what is shifted in is black.
        mirrored: whether to mirror.
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
    return padded[index, rows.to(device)[:, :, None], columns.to(device)[:, None, :]]


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate's factor: linear warm-up over a fraction of the steps, then cosine to 0."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def make_optimizer(module: nn.Module, settings: ProxySettings) -> torch.optim.Optimizer:
    """Return the optimizer; weight decay on convolutions and the classifier only, not on BatchNorm or biases."""
    decayed = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def set_batch_norm_momentum(module: nn.Module, momentum: float) -> None:
    """Short schedules need running statistics that follow faster than the deployed network's."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = momentum


def _check_logits(logits: Tensor, classes: int) -> None:
    if logits.ndim != 2 or logits.shape[1] < classes:
        raise ValueError(f"expected logits of shape (batch, {classes}) or wider, got {tuple(logits.shape)}")


def _batches(count: int, settings: ProxySettings, batches: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield row indices: every epoch a new order, cut into ``batches`` batches of nearly equal size."""
    for _ in range(settings.epochs):
        yield from torch.randperm(count, generator=generator).tensor_split(batches)
