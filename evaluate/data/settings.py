"""Which images a run uses, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nas.core.errors import InputError

CROP_SHARE = 0.875  # of the side that a centre crop keeps, as is usual for ImageNet

DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which images, at which size, and how they are split."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    source: str = DIGITS
    """A name that ``nas data list`` shows (``digits``: 1,797 real 8x8 images from scikit-learn), a folder or zip of
    images, or the folder of ``nas data prepare --out``."""
    resolution: int = 32
    """Side in pixels that proxies train at."""
    validation: float = 0.2
    """Fraction split off the training images for the reward, where the source has no part of its own for it; or how
    many images (the papers: 50000 of ImageNet)."""
    test: float = 0.2
    """Fraction kept for the final score, where the source has no part of its own for it; or how many images."""
    fraction: float = 1.0
    """Fraction of the training images that proxies train on, the same of every class."""
    classes: tuple[str, ...] | int | None = None
    """Only these classes, or so many of them, drawn by the seed; unset: all."""

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise InputError(f"resolution: expected at least 1 pixel, got {self.resolution}")
        for name, value in (("validation", self.validation), ("test", self.test)):
            if not (0 < value < 0.5 or (value >= 1 and value == int(value))):
                raise InputError(
                    f"{name}: expected a fraction between 0 and 0.5, or a whole number of images, got {value}"
                )
        if not 0 < self.fraction <= 1:
            raise InputError(f"fraction: expected a fraction above 0 and at most 1, got {self.fraction}")
        count = self.classes if isinstance(self.classes, int) else None if self.classes is None else len(self.classes)
        if count is not None and count < 2:
            raise InputError(f"classes: expected at least 2 classes, by name or as a number, got {self.classes}")
