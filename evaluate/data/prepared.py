"""Decoded images on disk: uint8 arrays that are mapped into memory and shared by all processes through the page cache.

A prepared folder holds, for each part of its source, ``PART.images.npy (n, resolution, resolution, 3)`` uint8,
``PART.labels.npy (n,)`` int64 and ``PART.readable.npy (n,)`` bool (an unreadable file's image is black and never used),
and ``meta.json`` with the classes, the unreadable files and the SHA-256 of every array.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.data.image_files import Bytes, check_skipped
from nas.evaluate.data.source import Source
from nas.evaluate.faults import DataGone
from nas.search_spaces.errors import InputError, WorkError

FORMAT = "mnas-images-1"
META = "meta.json"
Rows = Mapping[str, NDArray[np.int64]]
Progress = Callable[[int, int], None]
_STEP = 256  # images decoded between two calls of the progress bar


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class MappedImages:
    """A file of images that each process maps for itself; travels as its path.

    Attributes:
        path: ``PART.images.npy``.
        shape: ``(n, resolution, resolution, 3)``.
        digest: its SHA-256 when it was prepared; the folder's must still say so.
    """

    path: str
    shape: tuple[int, ...]
    digest: str

    def open(self) -> Bytes:
        """Map the file; the same mapping however often it is asked for in a process.

        Raises:
            DataGone: if it is no longer there, or is another.
        """
        return _map(self)


@lru_cache(maxsize=16)
def _map(images: MappedImages) -> Bytes:
    path = Path(images.path)
    try:
        meta = json.loads((path.parent / META).read_text(encoding="utf-8"))
        known = meta["digests"][path.name]
        # Copy on write: pages are shared until somebody writes, and nobody does; torch takes no read-only arrays.
        array: Bytes = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataGone(f"the prepared images {path} cannot be read ({type(error).__name__}: {error})") from None
    if known != images.digest or array.shape != images.shape or array.dtype != np.uint8:
        raise DataGone(f"the prepared images {path} are others than when the run began")
    return array


@dataclass(frozen=True)
class Prepared:
    """A prepared folder.

    Attributes:
        path: the folder.
        source: what it was made from.
        resolution: side in pixels.
        classes: class names; labels index them.
        mirrored: whether a mirrored image keeps its class.
        skipped: a line for every file that could not be read.
        fingerprint: of the source when it was prepared.
        images: of each part.
        labels: ``(n,)`` of each part.
        readable: ``(n,)`` of each part: which rows hold an image.
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

    @property
    def size_bytes(self) -> int:
        """Bytes of all its images."""
        return sum(int(np.prod(images.shape)) for images in self.images.values())


def is_prepared(path: Path) -> bool:
    """Say whether a folder looks like a prepared one."""
    return (path / META).is_file() and any(path.glob("*.images.npy"))


def open_prepared(path: Path) -> Prepared:
    """Open a prepared folder without reading its images.

    Raises:
        InputError: if it is none, or a file of it is missing, cut short or of another shape.
    """
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise ValueError(f"its format is {meta['format']!r}, expected {FORMAT!r}")
        images, labels, readable = {}, {}, {}
        for part in meta["parts"]:
            file = path / f"{part}.images.npy"
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            images[part] = MappedImages(str(file.resolve()), array.shape, meta["digests"][file.name])
            labels[part] = np.load(path / f"{part}.labels.npy", allow_pickle=False)
            readable[part] = np.load(path / f"{part}.readable.npy", allow_pickle=False)
            side = int(meta["resolution"])
            if array.shape != (len(labels[part]), side, side, 3) or readable[part].shape != labels[part].shape:
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
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputError(
            f"data: '{path}' is no usable folder of prepared images ({type(error).__name__}: {error}); prepare it "
            "again with: nas data prepare"
        ) from None


def damaged(prepared: Prepared) -> list[str]:
    """Return the names of the files whose SHA-256 is no longer what it was; reads all of them."""
    meta = json.loads((prepared.path / META).read_text(encoding="utf-8"))
    return [name for name, digest in sorted(meta["digests"].items()) if _sha256(prepared.path / name) != digest]


def write_prepared(
    source: Source, rows: Rows, resolution: int, path: Path, progress: Progress = no_progress
) -> Prepared:
    """Decode images once and write them to ``path``: all of it, or nothing.

    Args:
        source: the images.
        rows: which of each part.
        resolution: side in pixels.
        path: the folder to be; one that holds prepared images is replaced.
        progress: called with how many images are done, and of how many.

    Raises:
        InputError: if more than 1% of the images cannot be read, the disk has no room for them, or something else is in
            ``path``.
        WorkError: if they cannot be written.
    """
    if path.exists() and not is_prepared(path) and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"data: '{path}' holds something else than prepared images; choose another folder with --out")
    total = sum(len(own) for own in rows.values())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_room(path.parent, total, resolution)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            _fill(source, rows, resolution, folder, progress)
            folder.chmod(0o777 & ~_umask())
            _replace(folder, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise WorkError(
            f"data: {path}: the prepared images cannot be written ({error.strerror or error}); free space, or choose "
            "another folder with --out, or for all data with the environment variable NAS_CACHE"
        ) from None
    return open_prepared(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let no other process prepare the same folder meanwhile; what killed ones left of it is taken away.

    Where files cannot be locked, nothing is: then the last one to finish wins.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent / f".{path.name}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise WorkError(f"data: {path.parent}: cannot be written ({error.strerror}); choose another folder") from None
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in path.parent.glob(f".{path.name}.*"):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _fill(source: Source, rows: Rows, resolution: int, folder: Path, progress: Progress) -> None:
    total, done = sum(len(own) for own in rows.values()), 0
    skipped: list[str] = []
    for part, own in rows.items():
        shape = (len(own), resolution, resolution, 3)
        images = np.lib.format.open_memmap(folder / f"{part}.images.npy", mode="w+", dtype=np.uint8, shape=shape)
        readable = np.ones(len(own), dtype=bool)

        def decode(
            index: int,
            part: str = part,
            own: NDArray[np.int64] = own,
            images: Bytes = images,
            readable: NDArray[np.bool_] = readable,
        ) -> None:
            row = int(own[index])
            try:
                images[index] = source.read(part, row, resolution)
            except Exception as error:  # whatever a broken file makes a decoder raise: skipped and listed
                readable[index] = False
                reason = " ".join(str(error).split()) or type(error).__name__
                skipped.append(f"{source.title(part, row)}: {reason}")

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for start in range(0, len(own), _STEP):
                list(threads.map(decode, range(start, min(start + _STEP, len(own)))))
                progress(done + min(start + _STEP, len(own)), total)
        done += len(own)
        images.flush()
        np.save(folder / f"{part}.labels.npy", source.labels[part][own])
        np.save(folder / f"{part}.readable.npy", readable)
    check_skipped(skipped, total, source.name)
    files = sorted(folder.glob("*.npy"))
    meta: dict[str, Any] = {
        "format": FORMAT,
        "source": source.name,
        "fingerprint": source.fingerprint,
        "resolution": resolution,
        "classes": list(source.classes),
        "mirrored": source.mirrored,
        "parts": list(rows),
        "skipped": sorted(skipped),
        "digests": {file.name: _sha256(file) for file in files},
    }
    (folder / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
    for file in [*files, folder / META]:
        _sync(file)


def _replace(folder: Path, path: Path) -> None:
    """Put ``folder`` in ``path``'s place; processes that have mapped the old files keep them."""
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        path.replace(old / "old")
        folder.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        folder.replace(path)


def _check_room(folder: Path, count: int, resolution: int) -> None:
    needed, free = 3 * count * resolution**2, shutil.disk_usage(folder).free
    if needed > 0.95 * free:
        raise InputError(
            f"data: {count:,} images at {resolution} px need {needed / 2**30:.1f} GiB, but '{folder}' has "
            f"{free / 2**30:.1f} GiB free; lower data.resolution or data.fraction, or choose another folder with --out "
            "or the environment variable NAS_CACHE"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
