"""A data set and its splits: rows of decoded images that are shared by all workers of a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.data.pixels import Bytes, PixelRange
from nas.evaluate.data.prepared import MappedImages
from nas.evaluate.data.source import content

Labels = NDArray[np.int64]
Contents = NDArray[np.uint64]

UNEVEN = 5.0  # classes whose numbers of images differ by at least this factor are called unbalanced
_MOST_LISTED = 12  # classes that are listed one by one


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one split: chosen rows of decoded images.

    Attributes:
        pixels: ``(m, resolution, resolution, 3)`` uint8: an array, or a file that is mapped into memory when it is
            first read; only the path of a mapped file is sent to other processes.
        rows: rows of ``pixels`` that are in this split, ``(n,)``, in increasing order.
        labels: labels of the rows, ``(n,)`` int64.
        contents: digest of each row's image before decoding, ``(n,)`` uint64.
        aspects: if ``pixels`` hold whole images squeezed into squares, the width of each row's image divided by its
            height, ``(n,)``; else ``None``.
    """

    pixels: Bytes | MappedImages
    rows: Labels
    labels: Labels
    contents: Contents
    aspects: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, images: Bytes, labels: Labels, contents: Contents | None = None) -> Part:
        """Return a split with all of ``images (n, resolution, resolution, 3)``.

        If no digests are given, they are those of the pixels.
        """
        if contents is None:
            contents = np.array([content(image) for image in images], dtype=np.uint64)
        return cls(images, np.arange(len(labels)), labels, contents)

    @property
    def array(self) -> Bytes:
        """The whole array ``pixels``, which ``rows`` index, without a copy."""
        return self.pixels.open() if isinstance(self.pixels, MappedImages) else self.pixels

    @property
    def images(self) -> Bytes:
        """The split's own images ``(n, resolution, resolution, 3)``, copied."""
        return self.array[self.rows]

    @property
    def resolution(self) -> int:
        """Side in pixels."""
        return int(self.pixels.shape[1])

    def resident(self) -> Part:
        """Return this split with its own images in memory, for machines that cannot see the file."""
        return replace(Part.of(self.images, self.labels, self.contents), aspects=self.aspects)


@dataclass(frozen=True, slots=True)
class ImageData:
    """A data set.

    Attributes:
        train: the images that proxies train on.
        validation: the images that the reward is computed on.
        test: the images of the winner's final score, used once.
        classes: class names; labels index them.
        mirrored: whether a mirrored image keeps its class (not so for digits).
        skipped: a line for every file that could not be read.
        notes: what else is left out, a line for each reason.
        pixel_range: the range from which deep images were scaled to 8 bits; ``None`` if there are none.
        fraction: fraction of the training images that is used.
        modes: number of images by Pillow's mode.
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    mirrored: bool = True
    skipped: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    pixel_range: PixelRange | None = None
    fraction: float = 1.0
    modes: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> str:
        """Return the number of classes and images and the resolution, in one line."""
        return (
            f"{len(self.classes)} classes; {len(self.train.labels):,} train, {len(self.validation.labels):,} "
            f"validation and {len(self.test.labels):,} test images at {self.train.resolution} px"
        )

    @property
    def parts(self) -> dict[str, Part]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def class_counts(self) -> dict[str, tuple[int, int, int]]:
        """Return the numbers of training, validation and test images of each class."""
        counts = [np.bincount(part.labels, minlength=len(self.classes)) for part in self.parts.values()]
        return {name: (int(a), int(b), int(c)) for name, a, b, c in zip(self.classes, *counts, strict=True)}

    @property
    def unevenness(self) -> float:
        """Number of training images of the largest class, divided by that of the smallest class that has any."""
        counts = np.bincount(self.train.labels, minlength=len(self.classes))
        return float(counts.max() / counts[counts > 0].min())

    def describe_classes(self) -> str:
        """Return every class with its number of images or, if there are many, the smallest and the largest."""
        return describe_counts({name: sum(counts) for name, counts in self.class_counts().items()})

    def copies(self) -> dict[str, int]:
        """Return the numbers of validation and test images that are exact copies of an image of an earlier split."""
        return count_copies({name: part.contents for name, part in self.parts.items()})

    @property
    def size_bytes(self) -> int:
        """Bytes of all images of the three splits."""
        return sum(3 * len(part.labels) * part.resolution**2 for part in self.parts.values())

    def resident(self) -> ImageData:
        """Return the data with every image in memory, for machines that cannot see the files."""
        parts: dict[str, Any] = {name: getattr(self, name).resident() for name in ("train", "validation", "test")}
        return replace(self, **parts)


def describe_counts(counts: Mapping[str, int]) -> str:
    """Return every class with its number of images or, if there are many, the smallest and the largest."""
    least, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if len(counts) <= _MOST_LISTED:
        ends = f"; smallest {least}, largest {most}" if counts[least] < counts[most] else ""
        return ", ".join(f"{name} {count:,}" for name, count in counts.items()) + ends
    return f"{len(counts):,}; smallest {least} ({counts[least]:,} images), largest {most} ({counts[most]:,})"


def count_copies(contents: Mapping[str, Contents]) -> dict[str, int]:
    """Return for each split but the first how many of its images are exact copies of images of the splits before it."""
    (_, seen), *others = contents.items()
    found = {}
    for name, own in others:
        found[name] = int(np.isin(own, seen).sum())
        seen = np.concatenate([seen, own])
    return found
