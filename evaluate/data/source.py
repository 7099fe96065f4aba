"""Sources of images before decoding: labels by split, and a function that reads one image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.files import absolute_path
from nas.evaluate.data.image_files import ImageFolder, open_image_folder
from nas.evaluate.data.pixels import Bytes, Decoded, PixelRange, decode_image, decode_pixels
from nas.evaluate.data.settings import DIGITS
from nas.evaluate.data.view import View

Raw = bytes | Bytes
"""One image before decoding: the bytes of its file, or its pixels."""


@dataclass(frozen=True)
class Source:
    """Images that are not decoded yet.

    Attributes:
        name: name or path of the source.
        classes: class names; labels index them.
        labels: ``(n,)`` int64 of each split: ``train``, ``val``, ``test``, or ``all`` if the source is not split.
        read: returns one image by split and row, before decoding.
        title: returns the name of an image by split and row, for the list of unreadable images.
        fingerprint: digest that changes when the images change.
        mirrored: whether a mirrored image keeps its class.
        lost: a line for every entry that is known to be unreadable without decoding, such as a dead link.
        notes: what else is left out, a line for each reason.
    """

    name: str
    classes: tuple[str, ...]
    labels: Mapping[str, NDArray[np.int64]]
    read: Callable[[str, int], Raw] = field(repr=False)
    title: Callable[[str, int], str] = field(repr=False)
    fingerprint: str
    mirrored: bool = True
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def decode(raw: Raw, view: View, pixel_range: PixelRange | None = None) -> Decoded:
    """Decode an image of a source.

    Raises:
        NeedsRange: if the image is deep and ``pixel_range`` is not given.
        Exception: any exception of a decoder.
    """
    return decode_image(raw, view, pixel_range) if isinstance(raw, bytes) else decode_pixels(raw, view)


def content(raw: Raw) -> int:
    """Return a 64-bit digest of an image before decoding."""
    data = raw if isinstance(raw, bytes) else np.ascontiguousarray(raw).tobytes()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def from_folder(path: Path) -> Source:
    """Return the source of an image folder, or of a zip of one.

    Raises:
        InputError: as ``open_image_folder``.
    """
    folder: ImageFolder = open_image_folder(path)
    labels = {part: np.array([label for _, label in rows], dtype=np.int64) for part, rows in folder.parts.items()}
    return Source(
        name=absolute_path(path),
        classes=folder.classes,
        labels=labels,
        read=lambda part, row: folder.read(folder.parts[part][row][0]),
        title=lambda part, row: folder.parts[part][row][0],
        fingerprint=folder.fingerprint(),
        lost=tuple(f"{one.name}: {one.reason}" for one in folder.lost),
        notes=folder.notes,
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
        read=lambda part, row: parts[part][0][row],
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
        read=lambda part, row: parts[part][0][row].read_bytes(),
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
