"""Decoding of images to a folder, which is written atomically: it is either complete or absent."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.cores import available_cores
from nas.core.documents import read_json, read_mapping
from nas.core.errors import InputError, WorkError, printable
from nas.core.files import write_whole
from nas.evaluate.data.folders import cache_folder
from nas.evaluate.data.image_files import check_skipped
from nas.evaluate.data.pixels import Bytes, NeedsRange, PixelRange
from nas.evaluate.data.prepared import FORMAT, META, Prepared, is_prepared, open_prepared, sha256
from nas.evaluate.data.source import Source, content, decode
from nas.evaluate.data.view import View

Rows = Mapping[str, NDArray[np.int64]]
Progress = Callable[[int, int], None]
_NAMELESS = re.compile(r"<_io.BytesIO object at 0x[0-9a-f]+>")
_SMALL = View(8)
_STEP = 256  # images decoded between two calls of the progress bar


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


def write_prepared(source: Source, rows: Rows, view: View, path: Path, progress: Progress = no_progress) -> Prepared:
    """Decode images and write them to ``path``; if this fails, ``path`` is not changed.

    Args:
        source: the images.
        rows: rows to decode, by split.
        view: what is stored of each image.
        path: the output folder; a folder of prepared images is replaced.
        progress: called with the number of images that are done and the number of all images.

    Raises:
        InputError: if more than 1% of the images cannot be read, the disk has too little free space, or ``path`` holds
            something other than prepared images of this source and resolution.
        WorkError: if they cannot be written.
    """
    if path.exists() and not is_prepared(path) and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"data: '{path}' holds something other than prepared images; choose another folder with --out")
    _check_same(path, source, view)
    total = sum(len(own) for own in rows.values())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_room(path.parent, total, view.side)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.mnas-"))
        try:
            _fill(source, rows, view, folder, progress)
            folder.chmod(0o777 & ~_umask())
            _replace(folder, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise WorkError(
            f"data: {path}: the prepared images cannot be written ({error.strerror or error}); free some disk "
            "space, or choose another folder with --out (or with the environment variable NAS_CACHE for all data)"
        ) from None
    return open_prepared(path)


def _check_same(path: Path, source: Source, view: View) -> None:
    """Check that prepared images are replaced only by images of the same source and resolution."""
    try:
        meta = read_json(path / META)
        known = meta["source"], meta["resolution"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if known != (source.name, view.side):
        raise InputError(
            f"data: '{path}' holds the prepared images of '{known[0]}' at {known[1]} px; choose another folder with "
            "--out, or remove it"
        )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a folder so that no other process prepares it, and remove what killed processes left behind.

    If files cannot be locked, there is no lock, and the last process to finish replaces the folder.
    """
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    locks = cache_folder() / "locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        handle = os.open(locks / name, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise WorkError(
            f"data: {locks}: cannot be written ({error.strerror}); set NAS_CACHE to another folder"
        ) from None
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in path.parent.glob(f".{path.name}.mnas-*"):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _fill(source: Source, rows: Rows, view: View, folder: Path, progress: Progress) -> None:
    """Decode all images into the folder. Deep images are decoded last, when their range is known."""
    decoder = _Decoder(source, rows, view, folder, progress)
    places = [(part, index) for part, own in rows.items() for index in range(len(own))]
    decoder.decode(places)
    if decoder.deep:
        decoder.decode(list(decoder.deep), measured_range(source))
    total = len(places)
    lost = [*source.lost, *decoder.skipped]
    check_skipped(source.lost, sum(map(len, source.labels.values())) + len(source.lost), source.name)
    check_skipped(decoder.skipped, total, source.name)
    for part, own in rows.items():
        decoder.flush(part)
        np.save(folder / f"{part}.labels.npy", source.labels[part][own])
        np.save(folder / f"{part}.readable.npy", decoder.readable[part])
        np.save(folder / f"{part}.contents.npy", decoder.contents[part])
        np.save(folder / f"{part}.aspects.npy", decoder.aspects[part])
    files = sorted(folder.glob("*.npy"))
    meta: dict[str, Any] = {
        "format": FORMAT,
        "source": source.name,
        "fingerprint": source.fingerprint,
        "resolution": view.side,
        "view": view.key,
        "classes": list(source.classes),
        "mirrored": source.mirrored,
        "parts": list(rows),
        "skipped": sorted(map(printable, lost)),
        "notes": [printable(note) for note in source.notes],
        "range": decoder.range and decoder.range.ends,
        "modes": dict(decoder.modes.most_common()),
        "digests": {file.name: sha256(file) for file in files},
    }
    (folder / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
    for file in [*files, folder / META]:
        _sync(file)


class _Decoder:
    """Decodes images with all cores into arrays of a folder.

    Attributes:
        images: mapped ``(n, resolution, resolution, 3)`` uint8 by split.
        readable: ``(n,)`` whether each image could be decoded, by split.
        contents: ``(n,)`` digest of each image before decoding, by split.
        aspects: ``(n,)`` width of each image divided by its height, by split.
        skipped: a line for every image that could not be decoded.
        modes: number of images by Pillow's mode.
        deep: split and index of the images that wait for the range of all deep images.
        range: the range that deep images are scaled from; ``None``: there are none, or it is not known yet.
    """

    def __init__(self, source: Source, rows: Rows, view: View, folder: Path, progress: Progress) -> None:
        self._source, self._rows, self._view, self._progress = source, rows, view, progress
        shape = (view.side, view.side, 3)
        self._files = {
            part: np.lib.format.open_memmap(
                folder / f"{part}.images.npy", mode="w+", dtype=np.uint8, shape=(len(own), *shape)
            )
            for part, own in rows.items()
        }
        self.images: dict[str, Bytes] = {**self._files}
        self.readable = {part: np.ones(len(own), dtype=bool) for part, own in rows.items()}
        self.contents = {part: np.zeros(len(own), dtype=np.uint64) for part, own in rows.items()}
        self.aspects = {part: np.ones(len(own), dtype=np.float32) for part, own in rows.items()}
        self.skipped: list[str] = []
        self.modes: Counter[str] = Counter()
        self.deep: list[tuple[str, int]] = []
        self.range: PixelRange | None = None

    def decode(self, places: Sequence[tuple[str, int]], pixel_range: PixelRange | None = None) -> None:
        """Decode images by split and index; deep images only if their range is given."""
        self.range, self.deep = pixel_range, []
        with ThreadPoolExecutor(available_cores()) as threads:
            for start in range(0, len(places), _STEP):
                found = list(threads.map(self._decode_one, places[start : start + _STEP]))
                self.deep += [place for place, deep in zip(places[start : start + _STEP], found, strict=True) if deep]
                self._progress(min(start + _STEP, len(places)), len(places))

    def flush(self, part: str) -> None:
        """Write a split's images to their file."""
        self._files[part].flush()

    def _decode_one(self, place: tuple[str, int]) -> bool:
        """Decode an image. Returns whether it is deep and has to wait for the range of all images."""
        part, index = place
        row = int(self._rows[part][index])
        try:
            raw = self._source.read(part, row)
            self.contents[part][index] = content(raw)
            found = decode(raw, self._view, self.range)
            self.images[part][index], self.aspects[part][index] = found.pixels, found.aspect
        except NeedsRange:
            return True
        except Exception as error:  # a broken file can raise anything in a decoder: it is skipped and listed
            self.readable[part][index] = False
            reason = _NAMELESS.sub("the file", " ".join(str(error).split())) or type(error).__name__
            self.skipped.append(f"{self._source.title(part, row)}: {reason}")
            return False
        self.modes[found.mode] += 1
        return False


def measured_range(source: Source) -> PixelRange:
    """Return the range of all deep images of a source, whichever of them are decoded; it is kept in the cache."""
    path = cache_folder() / "ranges" / f"{source.fingerprint[:32]}.json"
    known = read_mapping(path)
    if {"low", "high"} <= set(known):
        return PixelRange(float(known["low"]), float(known["high"]))

    def measure(place: tuple[str, int]) -> PixelRange | None:
        try:
            decode(source.read(*place), _SMALL)
        except NeedsRange as deep:
            return deep.found
        except Exception:  # an unreadable image is listed when it is decoded
            return None
        return None

    places = [(part, row) for part, labels in source.labels.items() for row in range(len(labels))]
    with ThreadPoolExecutor(available_cores()) as threads:
        steps = (places[start : start + _STEP] for start in range(0, len(places), _STEP))
        found = [one for step in steps for one in threads.map(measure, step) if one is not None]
    whole = PixelRange(min(one.low for one in found), max(one.high for one in found))
    with suppress(OSError, WorkError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"low": whole.low, "high": whole.high}))
    return whole


def _replace(folder: Path, path: Path) -> None:
    """Replace ``path`` by ``folder``; processes that have mapped the old files keep them."""
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.mnas-"))
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
            f"{free / 2**30:.1f} GiB free; use a lower resolution or fewer images (data.fraction), or choose another "
            "folder with --out or the environment variable NAS_CACHE"
        )


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
