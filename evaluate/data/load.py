"""Loading of the three splits from data settings. Images are decoded once and kept for the next run."""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError, nearest_name
from nas.core.files import absolute_path, expanded
from nas.evaluate.data.folders import cache_folder
from nas.evaluate.data.image_data import ImageData, Part
from nas.evaluate.data.layout import LAYOUTS
from nas.evaluate.data.named import NAMED, open_named
from nas.evaluate.data.prepared import Prepared, damaged, is_prepared, open_prepared
from nas.evaluate.data.settings import DIGITS, DataSettings
from nas.evaluate.data.source import Source, digits, from_folder
from nas.evaluate.data.splits import Rows, split
from nas.evaluate.data.writing import Progress, locked, no_progress, write_prepared

_CHECKED_BYTES = 2**30  # larger folders have their checksums verified only by `nas data prepare`


def data_names() -> tuple[str, ...]:
    """Return the names that data settings may give as their source."""
    return DIGITS, *NAMED


def absolute_data(settings: DataSettings) -> DataSettings:
    """Return settings with an absolute path, if their source is a folder or zip."""
    if settings.source in data_names():
        return settings
    return settings.model_copy(update={"source": absolute_path(settings.source)})


def load_data(settings: DataSettings, progress: Progress = no_progress) -> ImageData:
    """Load and split a data set; the same ``split_seed`` gives the same split, prepared or not.

    Raises:
        InputError: if there is no such data, or it cannot be used.
        WorkError: if the decoded images cannot be written.
    """
    generator = np.random.default_rng(np.random.SeedSequence([settings.split_seed, 1]))
    if prepared := _without_source(settings.source, settings.resolution):
        rows = split(prepared.labels, prepared.classes, settings, generator)
        return _assemble(prepared, rows, settings)
    source = find_source(settings.source)
    rows = split(source.labels, source.classes, settings, generator)
    prepared, positions = _prepared_rows(source, rows, settings.resolution, progress)
    return _assemble(prepared, positions, settings)


def find_source(reference: str, root: Path | None = None, download: bool = False) -> Source:
    """Return the source of images by name, or of a folder or zip.

    Args:
        reference: a name, or a path.
        root: the folder of named data sets.
        download: whether to download a named data set that is missing.

    Raises:
        InputError: if there are no such images.
        WorkError: if the download fails.
    """
    if reference == DIGITS:
        return digits()
    if reference in NAMED:
        return open_named(reference, root, download)
    path = expanded(reference)
    if not path.exists():
        raise InputError(
            f"data: '{reference}' does not exist; expected a folder or zip of images, laid out as {LAYOUTS}, or a name"
            f"{nearest_name(path.name, data_names())}"
        )
    if is_prepared(path):
        made = open_prepared(path)
        raise InputError(
            f"data: '{reference}' holds prepared images already, of '{made.source}' at {made.resolution} px; give the "
            "source images instead"
        )
    if download:
        raise InputError(
            f"--download: '{reference}' is not the name of a downloadable data set{nearest_name(reference, NAMED)}"
        )
    return from_folder(path)


def _without_source(reference: str, resolution: int) -> Prepared | None:
    """Return prepared images that can be used without their source, or ``None``.

    These are a prepared folder, or a named data set whose prepared images in the cache are undamaged.
    """
    if reference not in data_names():
        path = expanded(reference)
        return _matching(open_prepared(path), resolution) if is_prepared(path) else None
    return _sound(prepared_path(reference, resolution))


def prepared_path(name: str, resolution: int, rows: Mapping[str, NDArray[np.int64]] | None = None) -> Path:
    """Return the cache folder of a source, or of a selection of its rows, at a resolution."""
    digest = hashlib.sha256(f"{name} {resolution}".encode())
    for part, own in (rows or {}).items():
        digest.update(part.encode() + own.tobytes())
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in Path(name).stem)
    return cache_folder() / "prepared" / f"{stem[:40]}-{resolution}px-{digest.hexdigest()[:16]}"


def prepare(
    source: Source, resolution: int, path: Path | None = None, progress: Progress = no_progress
) -> tuple[Prepared, bool]:
    """Return all images of a source decoded, and whether they were decoded now.

    Images that were decoded before are checked in full.

    Raises:
        InputError, WorkError: as ``write_prepared``.
    """
    everything = {part: np.arange(len(labels)) for part, labels in source.labels.items()}
    target = path or prepared_path(source.name, resolution)
    with locked(target):
        ready = _ready(target, source, resolution, checked_bytes=math.inf)
        return (ready, False) if ready else (write_prepared(source, everything, resolution, target, progress), True)


def _prepared_rows(source: Source, rows: Rows, resolution: int, progress: Progress) -> tuple[Prepared, Rows]:
    """Return the decoded images of ``rows``, decoded now if needed, and the indices of the rows in them."""
    if whole := _ready(prepared_path(source.name, resolution), source, resolution):
        return whole, rows
    chosen: dict[str, list[NDArray[np.int64]]] = {}
    for origin, own in rows.values():
        chosen.setdefault(origin, []).append(own)
    wanted = {origin: np.unique(np.concatenate(lists)) for origin, lists in chosen.items()}
    if all(len(wanted.get(part, ())) == len(labels) for part, labels in source.labels.items()):
        target = prepared_path(source.name, resolution)
        with locked(target):
            ready = _ready(target, source, resolution)
            return ready or write_prepared(source, wanted, resolution, target, progress), rows
    target = prepared_path(source.name, resolution, wanted)
    with locked(target):
        part = _ready(target, source, resolution) or write_prepared(source, wanted, resolution, target, progress)
    return part, {name: (origin, np.searchsorted(wanted[origin], own)) for name, (origin, own) in rows.items()}


def _ready(path: Path, source: Source, resolution: int, checked_bytes: float = _CHECKED_BYTES) -> Prepared | None:
    """Return the images prepared at ``path``; ``None`` if they are damaged or do not match the source."""
    prepared = _sound(path, checked_bytes)
    if prepared and (prepared.fingerprint, prepared.resolution) == (source.fingerprint, resolution):
        return prepared
    return None


def _sound(path: Path, checked_bytes: float = _CHECKED_BYTES) -> Prepared | None:
    """Return the images prepared at ``path``; ``None`` if they are incomplete or damaged.

    Checksums are verified only for images of at most ``checked_bytes``.
    """
    if not is_prepared(path):
        return None
    try:
        prepared = open_prepared(path)
    except InputError:
        return None
    return None if prepared.size_bytes <= checked_bytes and damaged(prepared) else prepared


def _matching(prepared: Prepared, resolution: int) -> Prepared:
    if prepared.resolution != resolution:
        raise InputError(
            f"data.resolution: '{prepared.path}' was prepared at {prepared.resolution} px, but {resolution} px are "
            f"asked for; use --set data.resolution={prepared.resolution}, or prepare it again"
        )
    if prepared.size_bytes <= _CHECKED_BYTES and (broken := damaged(prepared)):
        raise InputError(
            f"data: '{prepared.path}': the checksum of {', '.join(broken)} is wrong; the files were damaged since they "
            f"were prepared. Prepare them again with: nas data prepare {shlex.quote(prepared.source)} --resolution "
            f"{prepared.resolution} --out {shlex.quote(str(prepared.path))}"
        )
    return prepared


def _assemble(prepared: Prepared, positions: Rows, settings: DataSettings) -> ImageData:
    """Return the three splits, made from the rows that could be read."""
    parts: dict[str, Part] = {}
    for name, (origin, places) in positions.items():
        kept = places[prepared.readable[origin][places]]
        labels, contents = prepared.labels[origin][kept], prepared.contents[origin][kept]
        parts[name] = Part(prepared.images[origin], kept, labels, contents)
    classes = prepared.classes
    origin, places = positions["train"]
    present = sorted(np.unique(prepared.labels[origin][places]).tolist())  # classes of all rows, readable or not
    wanted = classes if settings.classes is None else [classes[label] for label in present]
    _check_classes(parts, wanted, classes, prepared)
    if settings.classes is not None:
        classes = tuple(classes[label] for label in present)
        for name, part in parts.items():
            parts[name] = replace(part, labels=np.searchsorted(present, part.labels))
    return ImageData(
        **parts,
        classes=classes,
        mirrored=prepared.mirrored,
        skipped=prepared.skipped,
        notes=prepared.notes,
        pixel_range=prepared.pixel_range,
    )


def _check_classes(parts: dict[str, Part], present: Sequence[str], classes: Sequence[str], prepared: Prepared) -> None:
    for part in ("train", "validation"):
        found = {classes[label] for label in np.unique(parts[part].labels).tolist()}
        for name in present:
            if name not in found:
                raise InputError(f"data: class '{name}' of '{prepared.source}' has no readable image left for {part}")
    if not len(parts["test"].labels):
        raise InputError(f"data: '{prepared.source}' has no readable test image")
