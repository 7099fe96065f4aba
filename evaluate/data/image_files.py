"""A folder (or zip) of images as lists of files by split and class."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from nas.core.errors import InputError
from nas.evaluate.data.layout import LAYOUTS, find_layout
from nas.evaluate.data.scan import LeftOut, scan

_UNREADABLE_LIMIT = 0.01


@dataclass(frozen=True)
class ImageFolder:
    """The image files of each split and class.

    Attributes:
        source: the folder or zip.
        classes: class names, sorted.
        parts: for ``train``, ``val``, ``test`` (or ``all`` for one folder of classes), pairs of file name and label.
        read: returns the bytes of a file by its name.
        stamp: returns a file's size and modification time by its name, or its checksum in a zip.
        left_out: the entries that are not used, with their reasons.
    """

    source: str
    classes: tuple[str, ...]
    parts: dict[str, list[tuple[str, int]]]
    read: Callable[[str], bytes] = field(repr=False)
    stamp: Callable[[str], str] = field(repr=False)
    left_out: tuple[LeftOut, ...] = ()

    def fingerprint(self) -> str:
        """Return a digest of every file's split, label, name and ``stamp``, and of the images that are lost."""
        digest = hashlib.sha256()
        for part, rows in sorted(self.parts.items()):
            for name, label in rows:
                digest.update(f"{part} {label} {name} {self.stamp(name)}\n".encode(errors="surrogateescape"))
        for one in self.lost:
            digest.update(f"lost {one.name}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    @property
    def lost(self) -> list[LeftOut]:
        """The images and folders that cannot be read."""
        return [one for one in self.left_out if one.kind == "lost"]

    @property
    def notes(self) -> tuple[str, ...]:
        """The entries that are left out and are not lost images, in words: one line for each reason."""
        return tuple(_notes(self.left_out))


def open_image_folder(path: Path) -> ImageFolder:
    """Open an image folder or zip and find its layout; enclosing folders are skipped.

    Raises:
        InputError: if it is absent, has no images, fewer than two classes, a class without images, or an unknown
            layout.
    """
    listing = scan(path, LAYOUTS)
    layout = find_layout(listing, str(path))
    labels = {name: index for index, name in enumerate(layout.classes)}
    rows = {part: [(name, labels[kind]) for name, kind in rows] for part, rows in layout.parts.items()}
    left_out = (*listing.left_out, *layout.left_out)
    return ImageFolder(str(path), layout.classes, rows, listing.read, listing.stamp, left_out)


def check_skipped(skipped: Sequence[str], total: int, source: str) -> None:
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


def _notes(left_out: Iterable[LeftOut]) -> list[str]:
    lines = []
    kinds: dict[str, list[LeftOut]] = {}
    for one in left_out:
        kinds.setdefault(one.kind, []).append(one)
    for one in kinds.get("twice", ()):
        lines.append(f"'{one.name}': {one.reason}")
    for one in kinds.get("output", ()):
        lines.append(f"'{one.name}': {one.reason}")
    if unlabelled := kinds.get("unlabelled"):
        folders = sorted({PurePosixPath(one.name).parts[0] for one in unlabelled})
        first = f"for instance '{unlabelled[0].name}'"
        lines.append(f"{len(unlabelled):,} images without a class folder in {', '.join(folders)}, {first}")
    if others := kinds.get("not_an_image"):
        endings = Counter(PurePosixPath(one.name).suffix.lower() or "no ending" for one in others)
        told = ", ".join(f"{count:,} {ending}" for ending, count in endings.most_common(5))
        lines.append(f"{len(others):,} files that are no images ({told}), for instance '{others[0].name}'")
    if system := kinds.get("system"):
        names = ", ".join(sorted({PurePosixPath(one.name).name for one in system})[:3])
        lines.append(f"{len(system):,} hidden or system files and folders ({names})")
    return lines
