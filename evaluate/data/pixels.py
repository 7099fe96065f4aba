"""Decoding of one image to 8-bit RGB: upright, first frame, with one range for all deep images of a data set."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.data.view import View

if TYPE_CHECKING:
    from PIL import Image

Bytes = NDArray[np.uint8]

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF", "JPEG2000", "AVIF", "ICO", "DIB")


@dataclass(frozen=True, slots=True)
class PixelRange:
    """The lowest and highest values of a data set's deep images: grey of 16 or 32 bits, or floating point."""

    low: float
    high: float

    @property
    def ends(self) -> list[float]:
        """``[low, high]``, for files."""
        return [self.low, self.high]

    def to_bytes(self, values: NDArray[np.float32]) -> Bytes:
        """Scale values to 0..255; values outside the range become 0 or 255."""
        width = self.high - self.low
        scaled = (values - self.low) * (255 / width) if width > 0 else np.zeros_like(values)
        return scaled.round().clip(0, 255).astype(np.uint8)


class NeedsRange(Exception):
    """Raised for a deep image if the range of the data set is not known. ``found`` is the image's own range."""

    def __init__(self, found: PixelRange) -> None:
        super().__init__(f"its values reach from {found.low:g} to {found.high:g}")
        self.found = found


@cache
def _formats() -> list[str]:
    """Return Pillow's decoders that are used: of image formats only, none that starts another program (as EPS does)."""
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def is_image(file: Path | io.BytesIO) -> bool:
    """Return whether the beginning of a file is that of an image."""
    from PIL import Image

    try:
        with Image.open(file, formats=_formats()):
            return True
    except Exception:  # decoders raise anything on other content
        return False


def is_deep(mode: str) -> bool:
    """Return whether a Pillow mode holds more than 8 bits a channel."""
    return mode.startswith(("I", "F"))


def open_upright(file: Path | io.BytesIO, resolution: int | None = None) -> Image.Image:
    """Open an image's first frame, rotated upright by its EXIF orientation, in its own mode.

    ``resolution`` lets JPEGs be decoded at a reduced scale, of at least twice that many pixels.
    """
    from PIL import Image, ImageOps

    image = Image.open(file, formats=_formats())
    if not is_deep(image.mode) and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        raise ValueError(
            f"{image.mode} of 16 bits a channel, of which only 8 can be read; convert it to 8 bits, or to grey"
        )
    if resolution is not None:
        image.draft("RGB", (2 * resolution, 2 * resolution))
    return ImageOps.exif_transpose(image)


def to_rgb(image: Image.Image, pixel_range: PixelRange | None = None) -> Image.Image:
    """Convert an image to 8-bit RGB.

    Raises:
        NeedsRange: if it is deep and no range is given.
        ValueError: if it holds a value that is not finite.
    """
    from PIL.Image import fromarray

    if not is_deep(image.mode):
        return image.convert("RGB")
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("it holds a value that is not finite")
    if pixel_range is None:
        raise NeedsRange(PixelRange(float(values.min()), float(values.max())))
    return fromarray(pixel_range.to_bytes(values)).convert("RGB")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: ``(side, side, 3)`` uint8, the view of the image.
        mode: Pillow's mode of the file.
        aspect: width of the upright image divided by its height.
    """

    pixels: Bytes
    mode: str
    aspect: float


def decode_image(data: bytes, view: View, pixel_range: PixelRange | None = None) -> Decoded:
    """Decode one file to 8-bit RGB, upright.

    Raises:
        NeedsRange: if the image is deep and ``pixel_range`` is not given.
        Exception: any exception of a decoder.
    """
    upright = open_upright(io.BytesIO(data), round(view.side / view.share))
    mode, (width, height) = upright.mode, upright.size
    return Decoded(view_of(to_rgb(upright, pixel_range), view), mode, width / height)


def decode_pixels(pixels: Bytes, view: View) -> Decoded:
    """Return the view of ``(h, w)`` or ``(h, w, 3)`` uint8."""
    from PIL import Image

    image = Image.fromarray(pixels)
    return Decoded(view_of(image.convert("RGB"), view), image.mode, image.width / image.height)


def view_of(image: Image.Image, view: View) -> Bytes:
    """Return the view of an RGB image, ``(side, side, 3)`` uint8."""
    from PIL import Image, ImageOps

    method = Image.Resampling.BICUBIC if view.interpolation == "bicubic" else Image.Resampling.BILINEAR
    if view.whole:
        return np.asarray(image.resize((view.side, view.side), method))
    outer = round(view.side / view.share)
    square = image if image.size == (outer, outer) else ImageOps.fit(image, (outer, outer), method)
    start = (outer - view.side) // 2
    return np.asarray(square)[start : start + view.side, start : start + view.side]
