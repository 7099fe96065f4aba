"""What part of an image is stored, and at which size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class View:
    """The square of pixels that is stored of each image.

    Attributes:
        side: its side in pixels.
        whole: whether the whole image is squeezed into the square, so that crops of any shape can be drawn from it
            later; otherwise the square is cut from the middle.
        share: share of the image's shorter side that the square in the middle keeps.
        interpolation: how the image is resized, antialiased.
    """

    side: int
    whole: bool = False
    share: float = 1.0
    interpolation: Interpolation = "bilinear"

    @property
    def key(self) -> str:
        """A short text that tells views apart."""
        kind = "-whole" if self.whole else "" if self.share == 1 else f"-{self.share:g}"
        return f"{self.side}px{kind}{'' if self.interpolation == 'bilinear' else f'-{self.interpolation}'}"
