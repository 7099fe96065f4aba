"""Decoded images on disk: uint8 arrays that are mapped into memory and shared by all processes through the page cache.

A prepared folder holds, for each split of its source, ``PART.images.npy (n, resolution, resolution, 3)`` uint8,
``PART.labels.npy (n,)`` int64, ``PART.readable.npy (n,)`` bool (an unreadable file's image is black and never used) and
``PART.contents.npy (n,)`` uint64 (a digest of each image before decoding), ``PART.aspects.npy (n,)`` float32 (width
divided by height before decoding), and ``meta.json`` with the classes, the unreadable files, the modes and range of the
pixels, and the SHA-256 of every array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.documents import read_json
from nas.core.errors import DataGone, InputError, shortened
from nas.evaluate.data.pixels import Bytes, PixelRange

FORMAT = "mnas-images-2"
META = "meta.json"


@dataclass(frozen=True, slots=True)
class MappedImages:
    """A file of images that each process maps into its memory; only its path is sent to other processes.

    Attributes:
        path: path of ``PART.images.npy``.
        shape: ``(n, resolution, resolution, 3)``.
        digest: SHA-256 of the file when it was prepared; it must equal the one in the folder's ``meta.json``.
    """

    path: str
    shape: tuple[int, ...]
    digest: str

    def open(self) -> Bytes:
        """Return the mapped file; repeated calls in a process return the same mapping.

        Raises:
            DataGone: if the file is no longer there, or has changed.
        """
        return _map(self)


@lru_cache(maxsize=16)
def _map(images: MappedImages) -> Bytes:
    path = Path(images.path)
    try:
        meta = read_json(path.parent / META)
        known = meta["digests"][path.name]
        # Copy on write, because torch warns about read-only arrays. Nothing is written, so all pages stay shared.
        array: Bytes = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataGone(f"the prepared images {path} cannot be read ({type(error).__name__}: {error})") from None
    if known != images.digest or array.shape != images.shape or array.dtype != np.uint8:
        raise DataGone(f"the prepared images {path} have changed since the run began")
    return array


@dataclass(frozen=True)
class Prepared:
    """A prepared folder.

    Attributes:
        path: the folder.
        source: name or path of the source that it was made from.
        resolution: side in pixels.
        classes: class names; labels index them.
        mirrored: whether a mirrored image keeps its class.
        skipped: a line for every file that could not be read.
        fingerprint: fingerprint of the source when it was prepared.
        images: mapped images of each split.
        labels: labels of each split, ``(n,)``.
        readable: whether each row holds an image, for each split, ``(n,)``.
        contents: digest of each image before decoding, for each split, ``(n,)``.
        aspects: width of each image divided by its height, for each split, ``(n,)``.
        view: key of the view of each image that is stored.
        pixel_range: the range from which deep images were scaled; ``None`` if there are none.
        modes: number of images by Pillow's mode.
        notes: what is left out besides unreadable files, a line for each reason.
    """

    path: Path
    source: str
    resolution: int
    classes: tuple[str, ...]
    mirrored: bool
    skipped: tuple[str, ...]
    fingerprint: str
    images: Mapping[str, MappedImages]
    labels: Mapping[str, NDArray[np.int64]]
    readable: Mapping[str, NDArray[np.bool_]]
    contents: Mapping[str, NDArray[np.uint64]]
    aspects: Mapping[str, NDArray[np.float32]]
    view: str
    pixel_range: PixelRange | None = None
    modes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def class_counts(self) -> dict[str, int]:
        """Return the number of readable images of each class, in all splits together."""
        labels = np.concatenate([labels[self.readable[part]] for part, labels in self.labels.items()])
        counts = np.bincount(labels, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}

    @property
    def size_bytes(self) -> int:
        """Bytes of all its images."""
        return sum(int(np.prod(images.shape)) for images in self.images.values())


def is_prepared(path: Path) -> bool:
    """Return whether a folder looks like one of prepared images."""
    return (path / META).is_file() and any(path.glob("*.images.npy"))


def open_prepared(path: Path) -> Prepared:
    """Open a prepared folder without reading its images.

    Raises:
        InputError: if it is not a prepared folder, or one of its files is missing, truncated or of the wrong shape.
    """
    try:
        meta = read_json(path / META)
        if meta["format"] != FORMAT:
            raise ValueError(f"its format is {meta['format']!r}, expected {FORMAT!r}")
        images, labels, readable, contents, aspects = {}, {}, {}, {}, {}
        for part in meta["parts"]:
            file = path / f"{part}.images.npy"
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            images[part] = MappedImages(str(file.resolve()), array.shape, meta["digests"][file.name])
            labels[part] = np.load(path / f"{part}.labels.npy", allow_pickle=False)
            readable[part] = np.load(path / f"{part}.readable.npy", allow_pickle=False)
            contents[part] = np.load(path / f"{part}.contents.npy", allow_pickle=False)
            aspects[part] = np.load(path / f"{part}.aspects.npy", allow_pickle=False)
            side = int(meta["resolution"])
            if array.shape != (len(labels[part]), side, side, 3) or not (
                readable[part].shape == labels[part].shape == contents[part].shape == aspects[part].shape
            ):
                raise ValueError(f"{file.name} has shape {array.shape}")
        return Prepared(
            path,
            str(meta["source"]),
            int(meta["resolution"]),
            tuple(map(str, meta["classes"])),
            bool(meta["mirrored"]),
            tuple(map(str, meta["skipped"])),
            str(meta["fingerprint"]),
            images,
            labels,
            readable,
            contents,
            aspects,
            str(meta["view"]),
            PixelRange(*map(float, meta["range"])) if meta.get("range") else None,
            {str(mode): int(count) for mode, count in meta.get("modes", {}).items()},
            tuple(map(str, meta.get("notes", ()))),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, EOFError) as error:
        raise InputError(
            f"data: '{path}' is no usable folder of prepared images ({type(error).__name__}: {shortened(str(error))}); "
            "prepare it again with: nas data prepare"
        ) from None


def damaged(prepared: Prepared) -> list[str]:
    """Return the names of the files whose SHA-256 has changed since they were prepared; reads all files."""
    meta = read_json(prepared.path / META)
    return [name for name, digest in sorted(meta["digests"].items()) if sha256(prepared.path / name) != digest]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
