"""Augmentation policies on the scale of EfficientNet's public training code: AutoAugment v0 and RandAugment.

Magnitudes are levels from 0 to 10. Pixels that come from outside the image are grey (128). A difference to that code:
shifts and holes are in proportion to the resolution, as at 224 px, so that policies suit small images too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

_GREY = [128.0, 128.0, 128.0]
_MOST_LEVEL = 10.0
_REFERENCE_PX = 224
_AUTO_SHIFT, _RAND_SHIFT, _RAND_HOLE = 250, 100, 40  # pixels at level 10 and 224 px; a hole's half side
_LAYERS = 2

_Step = tuple[str, float, float]
# The table of the public code, "v0": pairs of operation, probability and level.
_V0: tuple[tuple[_Step, _Step], ...] = (
    (("equalize", 0.8, 1), ("shear_y", 0.8, 4)),
    (("color", 0.4, 9), ("equalize", 0.6, 3)),
    (("color", 0.4, 1), ("rotate", 0.6, 8)),
    (("solarize", 0.8, 3), ("equalize", 0.4, 7)),
    (("solarize", 0.4, 2), ("solarize", 0.6, 2)),
    (("color", 0.2, 0), ("equalize", 0.8, 8)),
    (("equalize", 0.4, 8), ("solarize_add", 0.8, 3)),
    (("shear_x", 0.2, 9), ("rotate", 0.6, 8)),
    (("color", 0.6, 1), ("equalize", 1.0, 2)),
    (("invert", 0.4, 9), ("rotate", 0.6, 0)),
    (("equalize", 1.0, 9), ("shear_y", 0.6, 3)),
    (("color", 0.4, 7), ("equalize", 0.6, 0)),
    (("posterize", 0.4, 6), ("auto_contrast", 0.4, 7)),
    (("solarize", 0.6, 8), ("color", 0.6, 9)),
    (("solarize", 0.2, 4), ("rotate", 0.8, 9)),
    (("rotate", 1.0, 7), ("translate_y", 0.8, 9)),
    (("shear_x", 0.0, 0), ("solarize", 0.8, 4)),
    (("shear_y", 0.8, 0), ("color", 0.6, 4)),
    (("color", 1.0, 0), ("rotate", 0.6, 2)),
    (("equalize", 0.8, 4), ("equalize", 0.0, 8)),
    (("equalize", 1.0, 4), ("auto_contrast", 0.6, 2)),
    (("shear_y", 0.4, 7), ("solarize_add", 0.6, 7)),
    (("posterize", 0.8, 2), ("solarize", 0.6, 10)),
    (("solarize", 0.6, 8), ("equalize", 0.6, 1)),
    (("color", 0.8, 6), ("rotate", 0.4, 5)),
)


def auto_augment_v0(image: Tensor) -> Tensor:
    """Apply one pair of operations of AutoAugment's v0 table to an image ``(3, h, w)`` uint8.

    Random numbers come from torch's global generator.
    """
    for name, probability, level in _V0[_integer(len(_V0))]:
        if _uniform() < probability:
            image = apply_operation(name, image, level, _AUTO_SHIFT)
    return image


def rand_augment(magnitude: float) -> Callable[[Tensor], Tensor]:
    """Return RandAugment (arXiv 1909.13719) with two operations at a level, for images ``(3, h, w)`` uint8.

    Random numbers come from torch's global generator.
    """

    def apply(image: Tensor) -> Tensor:
        for _ in range(_LAYERS):
            name = RAND_OPERATIONS[_integer(len(RAND_OPERATIONS))]
            image = apply_operation(name, image, magnitude, _RAND_SHIFT)
        return image

    return apply


def apply_operation(name: str, image: Tensor, level: float, shift: int) -> Tensor:
    """Apply one operation to an image ``(3, h, w)`` uint8; ``shift`` is the largest shift in pixels, at 224 px."""
    if name in _SHIFTS:
        return _SHIFTS[name](image, level, shift)
    return _OPERATIONS[name](image, level)


def _uniform() -> float:
    return float(torch.rand(()))


def _integer(count: int) -> int:
    return int(torch.randint(count, ()))


def _signed(value: float) -> float:
    return value if _uniform() < 0.5 else -value


def _enhancement(level: float) -> float:
    """Return the factor of colour, contrast, brightness and sharpness: 0.1 at level 0, 1.9 at level 10."""
    return level / _MOST_LEVEL * 1.8 + 0.1


def _moved(image: Tensor, translate: Sequence[float] = (0.0, 0.0), shear: Sequence[float] = (0.0, 0.0)) -> Tensor:
    """Shift an image in pixels, or shear it about its top left corner by shear factors."""
    degrees = [float(torch.rad2deg(torch.atan(torch.tensor(value)))) for value in shear]
    moved: Tensor = functional.affine(
        image, angle=0.0, translate=list(translate), scale=1.0, shear=degrees, center=[0.0, 0.0], fill=_GREY
    )
    return moved


def _pixels(image: Tensor, level: float, at_most: float) -> float:
    return level / _MOST_LEVEL * at_most * image.shape[-1] / _REFERENCE_PX


def _shear_x(image: Tensor, level: float) -> Tensor:
    return _moved(image, shear=(_signed(level / _MOST_LEVEL * 0.3), 0.0))


def _shear_y(image: Tensor, level: float) -> Tensor:
    return _moved(image, shear=(0.0, _signed(level / _MOST_LEVEL * 0.3)))


def _translate_x(image: Tensor, level: float, shift: int) -> Tensor:
    return _moved(image, translate=(_signed(round(_pixels(image, level, shift))), 0.0))


def _translate_y(image: Tensor, level: float, shift: int) -> Tensor:
    return _moved(image, translate=(0.0, _signed(round(_pixels(image, level, shift)))))


def _rotate(image: Tensor, level: float) -> Tensor:
    turned: Tensor = functional.rotate(image, _signed(level / _MOST_LEVEL * 30), fill=_GREY)
    return turned


def _solarize(image: Tensor, level: float) -> Tensor:
    return torch.where(image.int() < int(level / _MOST_LEVEL * 256), image, 255 - image)


def _solarize_add(image: Tensor, level: float) -> Tensor:
    added = (image.int() + int(level / _MOST_LEVEL * 110)).clamp(0, 255).to(torch.uint8)
    return torch.where(image < 128, added, image)


def _posterize(image: Tensor, level: float) -> Tensor:
    kept: Tensor = functional.posterize(image, min(8, int(level / _MOST_LEVEL * 4)))
    return kept


def _color(image: Tensor, level: float) -> Tensor:
    changed: Tensor = functional.adjust_saturation(image, _enhancement(level))
    return changed


def _contrast(image: Tensor, level: float) -> Tensor:
    changed: Tensor = functional.adjust_contrast(image, _enhancement(level))
    return changed


def _brightness(image: Tensor, level: float) -> Tensor:
    changed: Tensor = functional.adjust_brightness(image, _enhancement(level))
    return changed


def _sharpness(image: Tensor, level: float) -> Tensor:
    changed: Tensor = functional.adjust_sharpness(image, _enhancement(level))
    return changed


def _cutout(image: Tensor, level: float) -> Tensor:
    """Put a grey square at a random place; it may reach beyond the border."""
    half = round(_pixels(image, level, _RAND_HOLE))
    height, width = image.shape[-2:]
    row, column = _integer(height), _integer(width)
    result = image.clone()
    result[:, max(0, row - half) : row + half, max(0, column - half) : column + half] = int(_GREY[0])
    return result


_OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "auto_contrast": lambda image, _: functional.autocontrast(image),
    "equalize": lambda image, _: functional.equalize(image),
    "invert": lambda image, _: functional.invert(image),
    "rotate": _rotate,
    "posterize": _posterize,
    "solarize": _solarize,
    "color": _color,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "cutout": _cutout,
    "solarize_add": _solarize_add,
}
_SHIFTS: dict[str, Callable[[Tensor, float, int], Tensor]] = {"translate_x": _translate_x, "translate_y": _translate_y}
RAND_OPERATIONS = (*_OPERATIONS, *_SHIFTS)
"""The operations that RandAugment draws from, all with the same probability."""
