"""Which images a run uses, as plain data."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from nas.core.flag import Flag
from nas.core.section import Section

CROP_SHARE = 0.875  # of the side that a centre crop keeps, as is usual for ImageNet

DIGITS = "digits"


def _share(value: float) -> float:
    if not (0 < value < 0.5 or (value >= 1 and value == int(value))):
        raise ValueError(f"expected a fraction between 0 and 0.5, or a whole number of images, got {value}")
    return value


def _several(classes: tuple[str, ...] | int | None) -> tuple[str, ...] | int | None:
    count = classes if isinstance(classes, int) else None if classes is None else len(classes)
    if count is not None and count < 2:
        raise ValueError(f"expected at least 2 classes, by name or as a number, got {classes}")
    return classes


class DataSettings(Section):
    """Which images, at which size, and how they are split."""

    source: Annotated[
        str,
        Flag(
            "--data",
            help="Images to train on: a name (see: nas data list), or a folder or zip.",
            completion="data",
        ),
    ] = DIGITS
    """A name that ``nas data list`` shows (``digits``: 1,797 real 8x8 images from scikit-learn), a folder or zip of
    images, or the folder of ``nas data prepare --out``."""
    resolution: int = Field(default=32, ge=1)
    """Side in pixels that proxies train at."""
    validation: Annotated[float, AfterValidator(_share)] = 0.2
    """Fraction split off the training images for the reward, where the source has no part of its own for it; or how
    many images (the papers: 50000 of ImageNet)."""
    test: Annotated[float, AfterValidator(_share)] = 0.2
    """Fraction kept for the final score, where the source has no part of its own for it; or how many images."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """Fraction of the training images that proxies train on, the same of every class."""
    classes: Annotated[tuple[str, ...] | int | None, AfterValidator(_several)] = None
    """Only these classes, or so many of them, drawn by the seed; unset: all."""
