"""Rounding of channel counts, as in the public reference code of EfficientNet and MobileNet."""

from __future__ import annotations

_DIVISOR = 8


def round_channels(channels: int, width: float) -> int:
    """Scale a channel count to the nearest multiple of 8, at least 8 and at least 90% of the exact product.

    A width of 1 changes nothing, even if the count is not a multiple of 8. A count of 0 stays 0.
    """
    if width == 1 or channels == 0:
        return channels
    exact = channels * width
    rounded = max(_DIVISOR, int(exact + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * exact else rounded


def expanded_channels(channels: int, ratio: float) -> int:
    """Return the inner width of a layer: the exact product for whole ratios, a multiple of 8 for others.

    EfficientNet's ``in * 6`` is not rounded; MobileNetV3's ratios such as 2.3 stand for multiples of 8.
    """
    return channels * int(ratio) if ratio == int(ratio) else round_channels(channels, ratio)
