"""A folder (or zip) of images as lists of files by split and class, and their decoding."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError

_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"})
_PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LAYOUTS = "DIR/{train,test}/CLASS, DIR/{train,val}/CLASS, DIR/{train,val,test}/CLASS or DIR/CLASS"
_UNREADABLE_LIMIT = 0.01

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageFolder:
    """The image files of each split and class.

    Attributes:
        source: the folder or zip.
        classes: class names, sorted.
        parts: for ``train``, ``val``, ``test`` (or ``all`` for one folder of classes), pairs of file name and label.
        read: returns the bytes of a file by its name.
        stamp: returns a file's size and modification time by its name, or its checksum in a zip.
    """

    source: str
    classes: tuple[str, ...]
    parts: dict[str, list[tuple[str, int]]]
    read: Callable[[str], bytes] = field(repr=False)
    stamp: Callable[[str], str] = field(repr=False)

    def fingerprint(self) -> str:
        """Return a digest of every file's split, label, name and ``stamp``."""
        digest = hashlib.sha256()
        for part, rows in sorted(self.parts.items()):
            for name, label in rows:
                digest.update(f"{part} {label} {name} {self.stamp(name)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


def open_image_folder(path: Path) -> ImageFolder:
    """Open an image folder or zip and find its layout; enclosing folders are skipped.

    Raises:
        InputError: if it is absent, has no images, fewer than two classes, an empty class, or an unknown layout.
    """
    if path.is_dir():
        names, folders, read, stamp = _walk(path)
    elif zipfile.is_zipfile(path):
        names, folders, read, stamp = _open_zip(path)
    else:
        what = "is neither a folder nor a zip file" if path.exists() else "does not exist"
        raise InputError(f"data: '{path}' {what}; expected a folder or zip of images laid out as {LAYOUTS}")
    files = [(PurePosixPath(name).parts, name) for name in sorted(names)]
    empty = [PurePosixPath(folder).parts for folder in folders]
    if not files:
        raise InputError(f"data: '{path}' holds no images ({', '.join(sorted(_EXTENSIONS))}); expected {LAYOUTS}")
    while _is_wrapped(files):
        files = [(parts[1:], name) for parts, name in files]
        empty = [parts[1:] for parts in empty]
    parts = _split_by_part(files, str(path))
    depth = 0 if set(parts) == {"all"} else 1
    classes = _class_names(parts, [folder[depth] for folder in empty if len(folder) == depth + 1], str(path))
    labels = {name: index for index, name in enumerate(classes)}
    rows = {part: [(name, labels[kind]) for kind, name in rows] for part, rows in parts.items()}
    return ImageFolder(str(path), classes, rows, read, stamp)


def decode_image(data: bytes, resolution: int) -> Bytes:
    """Decode one file to ``(resolution, resolution, 3)`` uint8: RGB, upright, centre-cropped square, antialiased."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (2 * resolution, 2 * resolution))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16-bit grey
            upright = Image.fromarray((np.asarray(upright) / 256).clip(0, 255).astype(np.uint8))
        square = ImageOps.fit(upright.convert("RGB"), (resolution, resolution), Image.Resampling.BILINEAR)
        return np.asarray(square)


def resize(pixels: Bytes, resolution: int) -> Bytes:
    """Resize ``(h, w)`` or ``(h, w, 3)`` uint8 to ``(resolution, resolution, 3)``: centre-cropped, antialiased."""
    from PIL import Image, ImageOps

    image = Image.fromarray(pixels)
    if image.size != (resolution, resolution):
        image = ImageOps.fit(image, (resolution, resolution), Image.Resampling.BILINEAR)
    return np.asarray(image.convert("RGB"))


def check_skipped(skipped: list[str], total: int, source: str) -> None:
    """Check that at most 1% of the images could not be read.

    Raises:
        InputError: if more could not be read; the message lists the first of these files.
    """
    if len(skipped) > _UNREADABLE_LIMIT * total:
        first = "; ".join(skipped[:20])
        raise InputError(
            f"data: {len(skipped)} of {total} images in '{source}' cannot be read, more than {_UNREADABLE_LIMIT:.0%}: "
            f"{first}{'; ...' if len(skipped) > 20 else ''}. Repair or remove them"
        )


def _walk(root: Path) -> tuple[list[str], list[str], Callable[[str], bytes], Callable[[str], str]]:
    names, empty = [], []
    for here, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(folder for folder in folders if not _is_hidden(folder))
        relative = Path(here).relative_to(root).as_posix()
        images = [file for file in files if _is_image(file)]
        names += [f"{relative}/{file}" if relative != "." else file for file in images]
        if not images and not folders and relative != ".":
            empty.append(relative)

    def stamp(name: str) -> str:
        status = (root / name).stat()
        return f"{status.st_size} {status.st_mtime_ns}"

    return names, empty, lambda name: (root / name).read_bytes(), stamp


def _open_zip(path: Path) -> tuple[list[str], list[str], Callable[[str], bytes], Callable[[str], str]]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"data: '{path}' is not a readable zip file ({error})") from None
    kept = [name for name in archive.namelist() if not any(_is_hidden(part) for part in PurePosixPath(name).parts)]
    names = [name for name in kept if _is_image(name)]
    used = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    empty = [name.rstrip("/") for name in kept if name.endswith("/") and name.rstrip("/") not in used]
    return names, empty, archive.read, lambda name: str(archive.getinfo(name).CRC)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in _EXTENSIONS and not _is_hidden(path.name)


def _is_wrapped(files: list[tuple[tuple[str, ...], str]]) -> bool:
    """Return whether all images are in subfolders of one folder."""
    return len({parts[0] for parts, _ in files}) == 1 and all(len(parts) >= 3 for parts, _ in files)


def _split_by_part(files: list[tuple[tuple[str, ...], str]], source: str) -> dict[str, list[tuple[str, str]]]:
    """Group ``(class, name)`` by split; raise ``InputError`` for images outside a class folder."""
    tops = {parts[0].lower() for parts, _ in files}
    split = tops <= set(_PARTS) and "train" in {_PARTS[top] for top in tops}
    if not split and len(tops) > 1 and tops <= set(_PARTS):
        raise InputError(f"data: '{source}' has {' and '.join(sorted(tops))} but no train; expected {LAYOUTS}")
    if not split and any(_PARTS.get(path[0].lower()) == "train" and len(path) >= 3 for path, _ in files):
        extra = sorted(tops - set(_PARTS))
        raise InputError(f"data: '{source}' holds '{extra[0]}' beside train; move it away. Expected {LAYOUTS}")
    depth = 1 if split else 0
    stray = [name for parts, name in files if len(parts) < depth + 2]
    if stray:
        raise InputError(
            f"data: '{source}' holds {len(stray)} images outside a class folder, for instance '{stray[0]}'; "
            f"expected {LAYOUTS}"
        )
    parts: dict[str, list[tuple[str, str]]] = {}
    for path, name in files:
        parts.setdefault(_PARTS[path[0].lower()] if split else "all", []).append((path[depth], name))
    return parts


def _class_names(parts: dict[str, list[tuple[str, str]]], empty: Iterable[str], source: str) -> tuple[str, ...]:
    first = parts.get("train") or parts["all"]
    classes = sorted({kind for kind, _ in first})
    for kind in empty:
        if kind not in classes:
            raise InputError(f"data: class folder '{kind}' in '{source}' holds no images; fill it or remove it")
    if len(classes) < 2:
        raise InputError(
            f"data: expected at least 2 classes in '{source}', found {len(classes)} ('{classes[0]}'); "
            f"the images have to be laid out as {LAYOUTS}"
        )
    for part, rows in parts.items():
        unknown = sorted({kind for kind, _ in rows} - set(classes))
        if unknown:
            raise InputError(f"data: '{source}' has class '{unknown[0]}' in {part} but not in train")
    return tuple(classes)
