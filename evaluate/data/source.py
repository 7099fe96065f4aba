"""Sources of images before decoding: labels by split, and a function that reads one image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.data.image_files import Bytes, ImageFolder, decode_image, open_image_folder, resize
from nas.evaluate.data.settings import DIGITS

ReadImage = Callable[[str, int, int], Bytes]


@dataclass(frozen=True)
class Source:
    """Images that are not decoded yet.

    Attributes:
        name: name or path of the source.
        classes: class names; labels index them.
        labels: ``(n,)`` int64 of each split: ``train``, ``val``, ``test``, or ``all`` if the source is not split.
        read: decodes one image by split, row and resolution: ``(resolution, resolution, 3)`` uint8.
        title: returns the name of an image by split and row, for the list of unreadable images.
        fingerprint: digest that changes when the images change.
        mirrored: whether a mirrored image keeps its class.
    """

    name: str
    classes: tuple[str, ...]
    labels: Mapping[str, NDArray[np.int64]]
    read: ReadImage = field(repr=False)
    title: Callable[[str, int], str] = field(repr=False)
    fingerprint: str
    mirrored: bool = True


def from_folder(path: Path) -> Source:
    """Return the source of an image folder, or of a zip of one.

    Raises:
        InputError: as ``open_image_folder``.
    """
    folder: ImageFolder = open_image_folder(path)
    labels = {part: np.array([label for _, label in rows], dtype=np.int64) for part, rows in folder.parts.items()}
    return Source(
        name=str(path.expanduser().resolve()),
        classes=folder.classes,
        labels=labels,
        read=lambda part, row, resolution: decode_image(folder.read(folder.parts[part][row][0]), resolution),
        title=lambda part, row: folder.parts[part][row][0],
        fingerprint=folder.fingerprint(),
    )


def from_arrays(
    name: str,
    classes: tuple[str, ...],
    parts: Mapping[str, tuple[Bytes, NDArray[np.int64]]],
    mirrored: bool = True,
    origin: str = "",
) -> Source:
    """Return the source of images in memory: ``(n, h, w)`` or ``(n, h, w, 3)`` uint8 and labels ``(n,)`` by split."""
    digest = hashlib.sha256(f"{name} {origin}".encode())
    for pixels, labels in parts.values():
        digest.update(labels.tobytes())
        digest.update(np.ascontiguousarray(pixels).data)
    return Source(
        name=name,
        classes=classes,
        labels={part: labels for part, (_, labels) in parts.items()},
        read=lambda part, row, resolution: resize(parts[part][0][row], resolution),
        title=lambda part, row: f"{part} image {row}",
        fingerprint=digest.hexdigest(),
        mirrored=mirrored,
    )


def from_files(
    name: str,
    classes: tuple[str, ...],
    parts: Mapping[str, tuple[list[Path], NDArray[np.int64]]],
    mirrored: bool = True,
) -> Source:
    """Return the source of image files and their labels ``(n,)``, by split."""
    digest = hashlib.sha256(name.encode())
    for files, labels in parts.values():
        digest.update(labels.tobytes())
        for file in files:
            status = file.stat() if file.exists() else None
            digest.update(f"{file} {status and (status.st_size, status.st_mtime_ns)}".encode())
    return Source(
        name=name,
        classes=classes,
        labels={part: labels for part, (_, labels) in parts.items()},
        read=lambda part, row, resolution: decode_image(parts[part][0][row].read_bytes(), resolution),
        title=lambda part, row: str(parts[part][0][row]),
        fingerprint=digest.hexdigest(),
        mirrored=mirrored,
    )


def digits() -> Source:
    """Return the source of scikit-learn's 1,797 handwritten digits, 8x8 pixels each."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = (bunch.images * (255 / 16)).round().astype(np.uint8)
    names = tuple(str(digit) for digit in range(10))
    return from_arrays(DIGITS, names, {"all": (grey, bunch.target.astype(np.int64))}, mirrored=False)
