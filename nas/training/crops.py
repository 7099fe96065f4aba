"""Augmentation with random draws for the whole batch, so that they do not depend on how processes share it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nas.training.recipe import Recipe

_MOST_ASPECT = 4 / 3
TRIES = 10  # crops drawn for each image; if none fits inside the image, the whole image is taken


@dataclass(frozen=True, slots=True)
class Draws:
    """The random draws for the images of a batch.

    Attributes:
        boxes: ``(n, 4)`` top, left, height and width of each crop, in pixels of the stored image; may be fractions.
        mirrored: ``(n,)`` whether each image is mirrored.
        seeds: ``(n,)`` seed of each image's augmentation policy.
    """

    boxes: Tensor
    mirrored: Tensor
    seeds: Tensor

    def of(self, rows: slice) -> Draws:
        """Return the draws of some images."""
        return Draws(self.boxes[rows], self.mirrored[rows], self.seeds[rows])


def draw(
    count: int,
    side: int,
    resolution: int,
    recipe: Recipe,
    flips: bool,
    generator: torch.Generator,
    aspects: Tensor | None = None,
) -> Draws:
    """Draw crops, mirrors and policies.

    Args:
        count: number of images.
        side: side of the stored images, in pixels.
        resolution: resolution of the network's input, in pixels.
        recipe: recipe with the settings of the crops.
        flips: whether images may be mirrored.
        generator: a CPU generator.
        aspects: width of each image divided by its height, ``(count,)``, if whole images are stored squeezed into
            squares; ``None`` for images that are square.
    """
    if recipe.crop == "resized":
        boxes = _resized(torch.ones(count) if aspects is None else aspects, side, recipe.crop_scale, generator)
    else:
        padding = recipe.crop_padding if recipe.crop == "padded" else 0
        shifts = torch.randint(-padding, padding + 1, (count, 2), generator=generator)
        start = (side - resolution) // 2
        boxes = torch.cat([start + shifts, torch.full((count, 2), resolution)], 1).float()
    mirrored = torch.rand(count, generator=generator) < 0.5 if flips else torch.zeros(count, dtype=torch.bool)
    seeds = torch.randint(2**31, (count,), generator=generator)
    return Draws(boxes, mirrored, seeds)


def centre_crop(pixels: Tensor, resolution: int) -> Tensor:
    """Return the middle ``resolution`` pixels of ``(n, side, side, 3)``."""
    start = (pixels.shape[1] - resolution) // 2
    return pixels[:, start : start + resolution, start : start + resolution]


def as_scored(pixels: Tensor, aspects: Tensor | None, resolution: int, recipe: Recipe) -> Tensor:
    """Return training images as validation images are seen: the middle, without augmentation.

    Args:
        pixels: ``(n, side, side, 3)`` uint8, as training images are stored.
        aspects: width of each image divided by its height, ``(n,)``, if whole images are squeezed into squares.
        resolution: resolution of the result, in pixels.
        recipe: recipe with the crop.
    """
    if recipe.crop != "resized" or aspects is None:
        return centre_crop(pixels, resolution)
    side = pixels.shape[1]
    height, width = recipe.crop_share * aspects.clamp(max=1), recipe.crop_share / aspects.clamp(min=1)
    boxes = side * torch.stack([(1 - height) / 2, (1 - width) / 2, height, width], 1)
    nothing = torch.zeros(len(pixels), dtype=torch.long)
    return _sampled(pixels, Draws(boxes, nothing.bool(), nothing), resolution, recipe.interpolation)


def apply(pixels: Tensor, draws: Draws, resolution: int, recipe: Recipe) -> Tensor:
    """Augment images.

    Args:
        pixels: ``(n, side, side, 3)`` uint8, on any device.
        draws: the draws for these images.
        resolution: resolution of the result, in pixels.
        recipe: recipe with the crop and the policy.

    Returns:
        ``(n, resolution, resolution, 3)`` uint8.
    """
    if recipe.crop == "resized":
        cropped = _sampled(pixels, draws, resolution, recipe.interpolation)
    else:
        cropped = _shifted(pixels, draws, resolution)
    return _by_policy(cropped, draws.seeds, recipe)


def _resized(aspects: Tensor, side: int, least: float, generator: torch.Generator) -> Tensor:
    """Draw boxes with ``least`` to 1 of the area and aspect ratios of 3/4 to 4/3, as in GoogLeNet's training.

    Area and ratio are those in the image as it was, with width / height ``aspects (n,)``; the boxes are in pixels of
    the stored square. If no box of 10 tries fits, the largest one in the middle is taken whose ratio is in the range.
    """
    count, shape = len(aspects), aspects[:, None]
    area = least + (1 - least) * torch.rand(count, TRIES, generator=generator)
    ratio = torch.exp(math.log(_MOST_ASPECT) * (2 * torch.rand(count, TRIES, generator=generator) - 1))
    width, height = torch.sqrt(area * ratio / shape), torch.sqrt(area * shape / ratio)
    fits = (width <= 1) & (height <= 1)
    first = torch.where(fits.any(1), fits.int().argmax(1), 0)[:, None]
    fallback = aspects.clamp(1 / _MOST_ASPECT, _MOST_ASPECT) / aspects  # below 1: the image is too wide
    middle = fallback.clamp(max=1), (1 / fallback).clamp(max=1)
    width, height = (
        torch.where(fits.any(1), value.gather(1, first)[:, 0], whole)
        for value, whole in zip((width, height), middle, strict=True)
    )
    places = torch.where(fits.any(1)[:, None], torch.rand(count, 2, generator=generator), 0.5)
    return side * torch.stack([places[:, 0] * (1 - height), places[:, 1] * (1 - width), height, width], 1)


def _shifted(pixels: Tensor, draws: Draws, resolution: int) -> Tensor:
    """Return crops of ``resolution`` pixels at whole-pixel positions; pixels outside the image are black."""
    count, side = pixels.shape[:2]
    steps = torch.arange(resolution)
    rows, columns = (draws.boxes[:, axis, None].long() + steps for axis in (0, 1))
    columns = torch.where(draws.mirrored[:, None], columns.flip(1), columns)
    margin = max(0, int(-min(rows.min(), columns.min())), int(max(rows.max(), columns.max())) - side + 1)
    if margin:
        pixels = functional.pad(pixels, (0, 0, margin, margin, margin, margin))
    device = pixels.device
    index = torch.arange(count, device=device)[:, None, None]
    return pixels[index, (rows + margin).to(device)[:, :, None], (columns + margin).to(device)[:, None, :]]


def _sampled(pixels: Tensor, draws: Draws, resolution: int, interpolation: str) -> Tensor:
    """Scale boxes to the resolution."""
    side, device = pixels.shape[1], pixels.device
    top, left, height, width = draws.boxes.T
    steps = (torch.arange(resolution) + 0.5) / resolution
    rows = (2 * (top[:, None] + steps * height[:, None]) / side - 1).to(device)
    columns = 2 * (left[:, None] + steps * width[:, None]) / side - 1
    columns = torch.where(draws.mirrored[:, None], columns.flip(1), columns).to(device)
    size = len(pixels), resolution, resolution
    grid = torch.stack([columns[:, None, :].expand(size), rows[:, :, None].expand(size)], -1)
    images = pixels.permute(0, 3, 1, 2).float()
    sampled = functional.grid_sample(images, grid, mode=interpolation, padding_mode="border", align_corners=False)
    return sampled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _by_policy(pixels: Tensor, seeds: Tensor, recipe: Recipe) -> Tensor:
    """Apply the policy to each image with its own seed; torch's global random state is restored afterwards."""
    if recipe.augment == "none":
        return pixels
    transform = _policy(recipe.augment, recipe.rand_magnitude)
    with torch.random.fork_rng(devices=[]):
        images = []
        for image, seed in zip(pixels.permute(0, 3, 1, 2), seeds.tolist(), strict=True):
            torch.manual_seed(seed)
            images.append(transform(image))
    return torch.stack(images).permute(0, 2, 3, 1)


@lru_cache(maxsize=4)
def _policy(name: str, magnitude: int) -> Callable[[Tensor], Tensor]:
    """Return a policy: EfficientNet's, or torchvision's (Cubuk et al. 2019, Müller and Hutter 2021)."""
    from torchvision.transforms import v2

    from nas.training.policies import auto_augment_v0, rand_augment

    if name == "auto":
        return auto_augment_v0
    if name == "rand":
        return rand_augment(magnitude)
    policies = {
        "auto-imagenet": v2.AutoAugmentPolicy.IMAGENET,
        "auto-cifar10": v2.AutoAugmentPolicy.CIFAR10,
        "auto-svhn": v2.AutoAugmentPolicy.SVHN,
    }
    transform: Any = v2.AutoAugment(policies[name]) if name in policies else v2.TrivialAugmentWide()
    result: Callable[[Tensor], Tensor] = transform
    return result
