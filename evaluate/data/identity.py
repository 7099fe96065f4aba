"""The identity of a data set and its split, which runs, trainings and weights store, and its one check.

Images are told apart by a digest of their files, so that the identity does not depend on paths or on the resolution.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from nas.core.documents import read_json
from nas.core.errors import InputError
from nas.core.files import write_whole
from nas.core.units import count_words
from nas.evaluate.data.image_data import Contents, ImageData

IDENTITY = "images.json"
_KEPT = 2**16  # digests of training images that are stored with weights
_TOLERATED = 0.02  # share of held-out images that may have been seen; more is another split, not a few duplicates
_MOST_TOLD = 5


class DataIdentity(BaseModel):
    """The images of a run: what they are, and how they are split."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    images: str
    """Digest of all images and their classes, whatever their split."""
    held_out: str
    """Digest of the validation and test images."""
    classes: Mapping[str, tuple[int, int, int]]
    """Number of training, validation and test images of each class."""
    fraction: float = 1.0
    """Fraction of the training images that is used; identities of different fractions are compared without them."""

    @classmethod
    def of(cls, data: ImageData) -> DataIdentity:
        """Return the identity of loaded images."""
        everything = hashlib.sha256()
        labels = np.concatenate([part.labels for part in data.parts.values()])
        contents = np.concatenate([part.contents for part in data.parts.values()])
        order = np.lexsort((contents, labels))
        ends = np.searchsorted(labels[order], np.arange(len(data.classes) + 1))
        for label, name in enumerate(data.classes):
            own = contents[order[ends[label] : ends[label + 1]]]
            everything.update(name.encode() + b"\0" + own.tobytes())
        held_out = hashlib.sha256()
        for part in (data.validation, data.test):
            held_out.update(np.sort(part.contents).tobytes() + b"\0")
        return cls(
            images=everything.hexdigest()[:16],
            held_out=held_out.hexdigest()[:16],
            classes=data.class_counts(),
            fraction=data.fraction,
        )

    @classmethod
    def read(cls, values: Any, where: str) -> DataIdentity | None:
        """Return the identity that a file stores; ``None`` if it stores none, as in files from before 0.1.0.

        Raises:
            InputError: naming ``where``, if it is damaged.
        """
        if values is None:
            return None
        try:
            return cls.model_validate(values)
        except ValidationError:
            raise InputError(f"{where}: 'images' is damaged; remove this key to go on without the check") from None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a YAML or JSON file."""
        return {
            "images": self.images,
            "held_out": self.held_out,
            "fraction": self.fraction,
            "classes": {name: list(counts) for name, counts in self.classes.items()},
        }

    @property
    def digest(self) -> str:
        """One digest of the images and their split, for the lines of journals."""
        return f"{self.images[:8]}-{self.held_out[:8]}"

    def changes_to(self, now: DataIdentity) -> str:
        """Return in words how other images differ from these; empty if the images and their split are the same."""
        told = []
        if added := sorted(now.classes.keys() - self.classes.keys()):
            told.append(f"classes added: {_listed(added)}")
        if gone := sorted(self.classes.keys() - now.classes.keys()):
            told.append(f"classes gone: {_listed(gone)}")
        first = 0 if self.fraction == now.fraction else 1  # of other fractions, only held-out images are compared
        counts = {
            name: sum(now.classes[name][first:]) - sum(self.classes[name][first:])
            for name in self.classes
            if name in now.classes
        }
        changed = [
            f"{count_words(abs(more), 'image')} of '{name}' {'added' if more > 0 else 'gone'}"
            for name, more in counts.items()
            if more
        ]
        told += changed[:_MOST_TOLD] + ([f"and {len(changed) - _MOST_TOLD} more"] if len(changed) > _MOST_TOLD else [])
        if not told and not first and self.images != now.images:
            told.append("as many images as before, with other content")
        if not told and self.held_out != now.held_out:
            told.append(
                "the same images in another split (data.split_seed, data.validation, data.test or the folder's splits)"
            )
        return "; ".join(told)


def check_same_images(then: DataIdentity | None, now: DataIdentity, what: str, source: str, way_on: str) -> None:
    """Check that the images and their split are those that something was made with.

    Args:
        then: the stored identity; ``None``: there is none, so nothing is checked.
        now: the identity of the images as they are.
        what: the flag or command at the beginning of the message.
        source: the source of the images.
        way_on: what the user can do.

    Raises:
        InputError: saying what has changed.
    """
    if then is not None and (changes := then.changes_to(now)):
        raise InputError(f"{what}: the images of '{source}' have changed since then: {changes}. {way_on}")


def keep_identity(folder: Path, now: DataIdentity, what: str, source: str, way_on: str) -> None:
    """Store the identity of a study's images in its folder; if one is stored, check that it is the same.

    Args:
        folder: folder of the study.
        now: the identity of the images as they are.
        what: the command, at the beginning of the message.
        source: the source of the images.
        way_on: what the user can do if the images have changed.

    Raises:
        InputError: if the images have changed.
        WorkError: if the file cannot be written.
    """
    path = folder / IDENTITY
    if not path.exists():
        write_whole(path, json.dumps(now.as_dict(), indent=1) + "\n")
        return
    values = read_json(path)
    check_same_images(DataIdentity.read(values, str(path)), now, what, source, way_on)


@dataclass(frozen=True, slots=True)
class SeenImages:
    """The images that weights were trained on: their digests or, of more than 65,536, the smallest of them.

    Attributes:
        digests: the digests, sorted; 8 bytes each, little-endian.
        count: number of images that they are drawn from.
    """

    digests: bytes = b""
    count: int = 0

    @classmethod
    def of(cls, contents: Contents) -> SeenImages:
        """Return the images with these digests, ``(n,)``."""
        unique = np.unique(contents).astype("<u8")
        return cls(unique[:_KEPT].tobytes(), len(unique))

    @classmethod
    def read(cls, values: Any) -> SeenImages:
        """Return what a file stores (see ``as_dict``); empty if it stores nothing.

        Raises:
            ValueError, KeyError, TypeError: if it is damaged.
        """
        if not values:
            return cls()
        digests, count = base64.b64decode(values["digests"], validate=True), int(values["count"])
        array = np.frombuffer(digests, dtype="<u8")
        if count < len(array) or (array[1:] <= array[:-1]).any():
            raise ValueError("the digests of the images that were trained on are damaged")
        return cls(digests, count)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {"digests": base64.b64encode(self.digests).decode(), "count": self.count}

    @property
    def _array(self) -> Contents:
        return np.frombuffer(self.digests, dtype="<u8")

    def joined(self, other: SeenImages) -> SeenImages:
        """Return both sets of images, as for weights that were trained on one and then on the other."""
        both = np.union1d(self._array, other._array).astype("<u8")
        limits = [one._array[-1] for one in (self, other) if one.count > len(one._array)]
        kept = both[both <= min(limits)] if limits else both
        return SeenImages(kept[:_KEPT].tobytes(), max(self.count, other.count, len(both)))

    def seen(self, contents: Contents) -> tuple[int, int]:
        """Return how many of the images with digests ``(n,)`` were trained on, and of how many this is known."""
        known = self._array
        if not len(known):
            return 0, 0
        judged = contents if self.count <= len(known) else contents[contents <= known[-1]]
        return int(np.isin(judged, known).sum()), len(judged)


NOTHING_SEEN = SeenImages()


def check_unseen(seen: SeenImages, data: ImageData, what: str, way_on: str) -> None:
    """Check that weights were not trained on the images that will score them.

    Copies of the training's own images are not counted: they say nothing about another split.

    Raises:
        InputError: if more than 2% of the validation or test images were trained on.
    """
    for name in ("validation", "test"):
        contents = data.parts[name].contents
        contents = contents[~np.isin(contents, data.train.contents)]
        count, judged = seen.seen(contents)
        if count > max(1, _TOLERATED * judged):
            raise InputError(
                f"{what}: about {count / judged:.0%} of the {name} images are among the images that these weights were "
                f"trained on (another split of the same images), so the {name} accuracy would be too high. {way_on}"
            )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more
