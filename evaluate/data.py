"""Images as preloaded uint8 arrays in three parts: train, validation (the reward sees only this) and test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.image_files import Bytes, ImageFolder, check_skipped, decode_images, open_image_folder
from nas.search_spaces.errors import InputError

Labels = NDArray[np.int64]
DIGITS = "digits"
_DIGIT_NAMES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which images, at which size, and how they are split."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    source: str = DIGITS
    """``digits`` (1,797 real 8x8 images from scikit-learn), or a folder or zip of images."""
    resolution: int = 32
    """Side in pixels that proxies train at."""
    validation: float = 0.2
    """Fraction split off the training images for the reward, where the folder has no part of its own for it."""
    test: float = 0.2
    """Fraction kept for the final score, where the folder has no part of its own for it."""
    fraction: float = 1.0
    """Fraction of the training images that proxies train on."""

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise InputError(f"resolution: expected at least 1 pixel, got {self.resolution}")
        for name, value in (("validation", self.validation), ("test", self.test)):
            if not 0 < value < 0.5:
                raise InputError(f"{name}: expected a fraction between 0 and 0.5, got {value}")
        if not 0 < self.fraction <= 1:
            raise InputError(f"fraction: expected a fraction above 0 and at most 1, got {self.fraction}")


@dataclass(frozen=True, slots=True)
class Part:
    """Images ``(n, resolution, resolution, 3)`` uint8 and labels ``(n,)`` int64."""

    images: Bytes
    labels: Labels


@dataclass(frozen=True, slots=True)
class ImageData:
    """A data set in memory.

    Attributes:
        train: what proxies learn from.
        validation: what the reward is computed on.
        test: what the winner is reported on, once.
        classes: class names; labels index them.
        mirrored: whether a mirrored image keeps its class (not so for digits).
        skipped: a line for every file that could not be read.
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    mirrored: bool = True
    skipped: tuple[str, ...] = field(default=())

    def describe(self) -> str:
        """Say in one line what there is."""
        side = self.train.images.shape[1]
        return (
            f"{len(self.classes)} classes; {len(self.train.labels):,} train, {len(self.validation.labels):,} "
            f"validation and {len(self.test.labels):,} test images at {side} px"
        )


def load_data(settings: DataSettings, seed: int) -> ImageData:
    """Load and split a data set; the same seed gives the same split.

    Raises:
        InputError: if there is no such data, or it cannot be used.
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    if settings.source == DIGITS:
        return _load_digits(settings, generator)
    folder = open_image_folder(Path(settings.source).expanduser())
    return _load_folder(folder, settings, generator)


def _load_digits(settings: DataSettings, generator: np.random.Generator) -> ImageData:
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = (bunch.images * (255 / 16)).round().astype(np.uint8)
    side = (settings.resolution, settings.resolution)
    resized = np.stack([np.asarray(Image.fromarray(image).resize(side, Image.Resampling.BILINEAR)) for image in grey])
    images, labels = np.repeat(resized[..., None], 3, axis=-1), bunch.target.astype(np.int64)
    train, validation, test = _take(labels, _DIGIT_NAMES, [settings.validation, settings.test], generator)
    train = _reduce(train, labels, _DIGIT_NAMES, settings.fraction, generator)
    parts = [Part(images[rows], labels[rows]) for rows in (train, validation, test)]
    return ImageData(parts[0], parts[1], parts[2], _DIGIT_NAMES, mirrored=False)


def _load_folder(folder: ImageFolder, settings: DataSettings, generator: np.random.Generator) -> ImageData:
    labels = {part: np.array([label for _, label in rows], dtype=np.int64) for part, rows in folder.parts.items()}
    names = {part: [name for name, _ in rows] for part, rows in folder.parts.items()}
    chosen: dict[str, tuple[str, Labels]] = {}
    if "all" in names:
        rows = _take(labels["all"], folder.classes, [settings.validation, settings.test], generator)
        chosen = {part: ("all", index) for part, index in zip(("train", "validation", "test"), rows, strict=True)}
    else:
        final = "test" if "test" in names else "val"
        chosen["test"] = (final, np.arange(len(names[final])))
        if final == "test" and "val" in names:
            chosen["validation"] = ("val", np.arange(len(names["val"])))
            chosen["train"] = ("train", np.arange(len(names["train"])))
        else:
            train, validation = _take(labels["train"], folder.classes, [settings.validation], generator)
            chosen["train"], chosen["validation"] = ("train", train), ("train", validation)
    part, index = chosen["train"]
    chosen["train"] = (part, _reduce(index, labels[part], folder.classes, settings.fraction, generator))
    _check_memory(sum(len(index) for _, index in chosen.values()), settings.resolution)
    skipped: list[str] = []
    parts: dict[str, Part] = {}
    for part, (origin, index) in chosen.items():
        images, readable = decode_images(folder, [names[origin][row] for row in index], settings.resolution, skipped)
        parts[part] = Part(images[readable], labels[origin][index][readable])
    check_skipped(skipped, sum(len(index) for _, index in chosen.values()), folder.source)
    _check_classes(parts, folder)
    return ImageData(parts["train"], parts["validation"], parts["test"], folder.classes, skipped=tuple(skipped))


def _reduce(
    rows: Labels, labels: Labels, names: Sequence[str], fraction: float, generator: np.random.Generator
) -> Labels:
    """Keep a fraction of ``rows``, the same of every class."""
    return rows if fraction == 1 else rows[_take(labels[rows], names, [fraction], generator)[1]]


def _take(labels: Labels, names: Sequence[str], fractions: list[float], generator: np.random.Generator) -> list[Labels]:
    """Split rows by class: first what remains, then one list for each fraction, at least one row a class in each."""
    lists: list[list[Labels]] = [[] for _ in range(len(fractions) + 1)]
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        if len(rows) <= len(fractions):
            raise InputError(
                f"data: class '{names[label]}' has {len(rows)} images; expected at least {len(fractions) + 1}, "
                "one for each part it is split into"
            )
        for place, fraction in enumerate(fractions, start=1):
            total = np.count_nonzero(labels == label)
            count = min(max(1, round(fraction * total)), (total - 1) // len(fractions))
            lists[place].append(rows[:count])
            rows = rows[count:]
        lists[0].append(rows)
    return [np.sort(np.concatenate(rows)) for rows in lists]


def _check_classes(parts: dict[str, Part], folder: ImageFolder) -> None:
    for part in ("train", "validation"):
        present = set(np.unique(parts[part].labels).tolist())
        for label, name in enumerate(folder.classes):
            if label not in present:
                raise InputError(f"data: class '{name}' of '{folder.source}' has no readable image left for {part}")
    if not len(parts["test"].labels):
        raise InputError(f"data: '{folder.source}' has no readable test image")


def _check_memory(count: int, resolution: int) -> None:
    needed = count * resolution * resolution * 3
    available = _available_memory()
    if needed > 0.5 * available:
        raise InputError(
            f"data: {count:,} images at {resolution} px need {needed / 2**30:.1f} GiB, more than half of the "
            f"{available / 2**30:.1f} GiB free; lower data.resolution or data.fraction"
        )


def _available_memory() -> int:
    """Return the bytes that can be had without swapping: Linux's own estimate, which counts reclaimable caches in."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
