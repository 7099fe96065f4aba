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
from nas.evaluate.data.splits import Labels, Rows, split
from nas.evaluate.data.view import View
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


def load_data(
    settings: DataSettings, progress: Progress = no_progress, views: tuple[View, View] | None = None
) -> ImageData:
    """Load and split a data set; the same ``split_seed`` gives the same split, prepared or not.

    Args:
        settings: the source and its split.
        progress: called while images are decoded.
        views: what is stored of training images, and of validation and test images; ``None``: squares of
            ``settings.resolution``. A prepared folder has squares of one size, which are used whatever the views.

    Raises:
        InputError: if there is no such data, or it cannot be used.
        WorkError: if the decoded images cannot be written.
    """
    generator = np.random.default_rng(np.random.SeedSequence([settings.split_seed, 1]))
    square = View(settings.resolution)
    if prepared := _without_source(settings.source, square if views is None else None, settings.resolution):
        rows = split(prepared.labels, prepared.classes, settings, generator)
        return _assemble({part: (prepared, rows[part]) for part in rows}, settings)
    source = find_source(settings.source)
    rows = split(source.labels, source.classes, settings, generator)
    train, held_out = views or (square, square)
    if train == held_out:
        prepared, positions = _prepared_rows(source, rows, train, progress)
        return _assemble({part: (prepared, positions[part]) for part in rows}, settings)
    found: dict[str, tuple[Prepared, tuple[str, Labels]]] = {}
    for view, parts in ((train, ("train",)), (held_out, ("validation", "test"))):
        prepared, positions = _prepared_rows(source, {part: rows[part] for part in parts}, view, progress)
        found |= {part: (prepared, positions[part]) for part in parts}
    return _assemble(found, settings)


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


def _without_source(reference: str, view: View | None, resolution: int) -> Prepared | None:
    """Return prepared images that can be used without their source, or ``None``.

    These are a prepared folder of this resolution, or a named data set whose prepared images of this view are in the
    cache and undamaged.
    """
    if reference not in data_names():
        path = expanded(reference)
        return _matching(open_prepared(path), resolution) if is_prepared(path) else None
    return None if view is None else _sound(prepared_path(reference, view))


def prepared_path(name: str, view: View, rows: Mapping[str, NDArray[np.int64]] | None = None) -> Path:
    """Return the cache folder of a view of a source, or of a selection of its rows."""
    digest = hashlib.sha256(f"{name} {view.key}".encode(errors="surrogateescape"))
    for part, own in (rows or {}).items():
        digest.update(part.encode() + own.tobytes())
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in Path(name).stem)
    return cache_folder() / "prepared" / f"{stem[:40]}-{view.key}-{digest.hexdigest()[:16]}"


def prepare(
    source: Source, resolution: int, path: Path | None = None, progress: Progress = no_progress
) -> tuple[Prepared, bool]:
    """Return all images of a source decoded, and whether they were decoded now.

    Images that were decoded before are checked in full.

    Raises:
        InputError, WorkError: as ``write_prepared``.
    """
    everything = {part: np.arange(len(labels)) for part, labels in source.labels.items()}
    view = View(resolution)
    target = path or prepared_path(source.name, view)
    with locked(target):
        ready = _ready(target, source, view, checked_bytes=math.inf)
        return (ready, False) if ready else (write_prepared(source, everything, view, target, progress), True)


def _prepared_rows(source: Source, rows: Rows, view: View, progress: Progress) -> tuple[Prepared, Rows]:
    """Return the decoded images of ``rows``, decoded now if needed, and the indices of the rows in them."""
    if whole := _ready(prepared_path(source.name, view), source, view):
        return whole, rows
    chosen: dict[str, list[NDArray[np.int64]]] = {}
    for origin, own in rows.values():
        chosen.setdefault(origin, []).append(own)
    wanted = {origin: np.unique(np.concatenate(lists)) for origin, lists in chosen.items()}
    if view.whole and set(source.labels) == {"all"} and len(wanted.get("all", ())) > len(source.labels["all"]) / 2:
        wanted = {"all": np.arange(len(source.labels["all"]))}  # all, so that another split needs no further copy
    if all(len(wanted.get(part, ())) == len(labels) for part, labels in source.labels.items()):
        target = prepared_path(source.name, view)
        with locked(target):
            ready = _ready(target, source, view)
            return ready or write_prepared(source, wanted, view, target, progress), rows
    target = prepared_path(source.name, view, wanted)
    with locked(target):
        part = _ready(target, source, view) or write_prepared(source, wanted, view, target, progress)
    return part, {name: (origin, np.searchsorted(wanted[origin], own)) for name, (origin, own) in rows.items()}


def _ready(path: Path, source: Source, view: View, checked_bytes: float = _CHECKED_BYTES) -> Prepared | None:
    """Return the images prepared at ``path``; ``None`` if they are damaged or do not match the source."""
    prepared = _sound(path, checked_bytes)
    if prepared and (prepared.fingerprint, prepared.view) == (source.fingerprint, view.key):
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


def _assemble(found: Mapping[str, tuple[Prepared, tuple[str, Labels]]], settings: DataSettings) -> ImageData:
    """Return the three splits, made from the rows that could be read.

    Args:
        found: for ``train``, ``validation`` and ``test``: prepared images, and the rows in one of their splits.
        settings: the settings, for the choice of classes.
    """
    parts: dict[str, Part] = {}
    for name, (prepared, (origin, places)) in found.items():
        kept = places[prepared.readable[origin][places]]
        labels, contents = prepared.labels[origin][kept], prepared.contents[origin][kept]
        aspects = prepared.aspects[origin][kept] if "whole" in prepared.view else None
        parts[name] = Part(prepared.images[origin], kept, labels, contents, aspects)
    prepared, (origin, places) = found["train"]
    classes = prepared.classes
    present = sorted(np.unique(prepared.labels[origin][places]).tolist())  # classes of all rows, readable or not
    wanted = classes if settings.classes is None else [classes[label] for label in present]
    _check_classes(parts, wanted, classes, prepared)
    if settings.classes is not None:
        classes = tuple(classes[label] for label in present)
        for name, part in parts.items():
            parts[name] = replace(part, labels=np.searchsorted(present, part.labels))
    ranges = [one.pixel_range for one, _ in found.values() if one.pixel_range is not None]
    return ImageData(
        **parts,
        classes=classes,
        mirrored=prepared.mirrored,
        skipped=tuple(sorted({line for one, _ in found.values() for line in one.skipped})),
        notes=prepared.notes,
        pixel_range=ranges[0] if ranges else None,
        fraction=settings.fraction,
        modes=prepared.modes,
    )


def _check_classes(parts: dict[str, Part], present: Sequence[str], classes: Sequence[str], prepared: Prepared) -> None:
    for part in ("train", "validation"):
        found = {classes[label] for label in np.unique(parts[part].labels).tolist()}
        for name in present:
            if name not in found:
                raise InputError(f"data: class '{name}' of '{prepared.source}' has no readable image left for {part}")
    if not len(parts["test"].labels):
        raise InputError(f"data: '{prepared.source}' has no readable test image")
