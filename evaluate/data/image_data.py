"""A data set and its splits: rows of decoded images that are shared by all workers of a node."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.data.image_files import Bytes
from nas.evaluate.data.prepared import MappedImages

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one split: chosen rows of decoded images.

    Attributes:
        pixels: ``(m, resolution, resolution, 3)`` uint8: an array, or a file that is mapped into memory when it is
            first read; only the path of a mapped file is sent to other processes.
        rows: rows of ``pixels`` that are in this split, ``(n,)``, in increasing order.
        labels: labels of the rows, ``(n,)`` int64.
    """

    pixels: Bytes | MappedImages
    rows: Labels
    labels: Labels

    @classmethod
    def of(cls, images: Bytes, labels: Labels) -> Part:
        """Return a split with all of ``images (n, resolution, resolution, 3)``."""
        return cls(images, np.arange(len(labels)), labels)

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
        return Part.of(self.images, self.labels)


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
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    mirrored: bool = True
    skipped: tuple[str, ...] = field(default=())

    def describe(self) -> str:
        """Return the number of classes and images and the resolution, in one line."""
        return (
            f"{len(self.classes)} classes; {len(self.train.labels):,} train, {len(self.validation.labels):,} "
            f"validation and {len(self.test.labels):,} test images at {self.train.resolution} px"
        )

    @property
    def size_bytes(self) -> int:
        """Bytes of all images of the three splits."""
        count = sum(len(part.labels) for part in (self.train, self.validation, self.test))
        return 3 * count * self.train.resolution**2

    def digest(self) -> str:
        """Return a digest of the images, their classes and their split."""
        found = hashlib.sha256("\n".join(self.classes).encode())
        for part in (self.train, self.validation, self.test):
            pixels = part.pixels
            found.update(pixels.digest.encode() if isinstance(pixels, MappedImages) else part.images.tobytes())
            found.update(part.rows.tobytes() + part.labels.tobytes())
        return found.hexdigest()

    def resident(self) -> ImageData:
        """Return the data with every image in memory, for machines that cannot see the files."""
        parts: dict[str, Any] = {name: getattr(self, name).resident() for name in ("train", "validation", "test")}
        return replace(self, **parts)
