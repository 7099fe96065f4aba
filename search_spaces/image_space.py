"""The space ``own-images`` for images of any size: shallow networks of residual, plain or inverted residual blocks.

On folders of a few thousand images, wide and shallow networks with regular convolutions learn more within the same
multiply-adds, epochs and seconds than the networks that were designed for ImageNet (docs/worth-it.md). The number of
stages follows from the resolution, so that the last map has about 5 pixels a side.
"""

from __future__ import annotations

import math
from typing import Any

from nas.search_spaces.stage_table import StageTableSpace

OWN_IMAGES = "own-images"
_LAST_CHANNELS = 128
_LAST_SIDE = 5  # about, in pixels
_LEAST_CHANNELS = 16
_SMALL = 48  # side in pixels of the largest images whose stem keeps the resolution
_WIDTHS = (0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4, 2.8, 3.4, 4.0)


def image_space_form(resolution: int, classes: int) -> dict[str, Any]:
    """Return the YAML form of the space for images of ``resolution`` pixels and ``classes`` classes.

    The middle options are those of a small residual network, which is the space's default architecture.
    """
    halvings = max(1, math.ceil(math.log2(resolution / _LAST_SIDE) - 0.5)) if resolution > 2 * _LAST_SIDE else 1
    stem_stride = 2 if resolution > _SMALL else 1
    count = max(1, halvings - (stem_stride - 1))
    channels = [max(_LEAST_CHANNELS, _LAST_CHANNELS // 2 ** (count - 1 - index)) for index in range(count)]
    fixed = {"kernel": 3, "stride": 2, "skip": "projection"}
    late = {"op": ["mbconv6", "conv", "basic", "mbconv3"], **fixed}
    return {
        "name": OWN_IMAGES,
        "resolution": resolution,
        "classes": classes,
        "drop_connect": 0.0,
        "activation": "relu",
        "width": list(_WIDTHS),
        "stem": {"op": "conv", "kernel": 3, "stride": stem_stride, "channels": max(8, channels[0] // 2)},
        "stages": [
            {"op": ["conv", "basic"], **fixed, "channels": channels[0], "layers": [1, 2]},
            *(
                {
                    **late,
                    "channels": [round(0.75 * number), number, round(1.5 * number)],
                    "layers": [1, 2, 3],
                    "se": [0.25, 0],
                }
                for number in channels[1:]
            ),
        ],
        "head": {"channels": [256, 0], "dropout": 0.0},
    }


def image_space(resolution: int, classes: int) -> StageTableSpace:
    """Return the space for images of ``resolution`` pixels and ``classes`` classes.

    Raises:
        InputError: if the resolution is too small.
    """
    return StageTableSpace(image_space_form(resolution, classes), OWN_IMAGES)
