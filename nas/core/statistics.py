"""Statistics: noise of repeated measurements, intervals, and the agreement of predicted with measured values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NORMAL = 1.959964  # quantile of the normal distribution that leaves 2.5% above it
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Noise:
    """The random variation of one training's result.

    Attributes:
        std: standard deviation between trainings of the same network, pooled over networks.
        freedom: degrees of freedom of that estimate.
    """

    std: float
    freedom: int

    def smallest_difference(self, first: int = 1, second: int = 1) -> float:
        """Return the difference of two means that equal networks exceed by chance in 5% of cases.

        ``first`` and ``second`` are the numbers of trainings in the two means. The calculation uses Student's t
        distribution, because the standard deviation is itself an estimate from few trainings.
        """
        from scipy.stats import t

        return float(t.ppf(0.975, self.freedom)) * self.std * math.sqrt(1 / first + 1 / second)


def measure_noise(groups: Iterable[Sequence[float]]) -> Noise | None:
    """Return the noise within groups, each with its own mean; ``None`` if no group has two values."""
    squares, freedom = 0.0, 0
    for group in groups:
        if len(group) > 1:
            mean = statistics.fmean(group)
            squares += sum((value - mean) ** 2 for value in group)
            freedom += len(group) - 1
    return Noise(math.sqrt(squares / freedom), freedom) if freedom else None


Values = NDArray[np.float64]


def agreement(measured: Values, predicted: Values) -> dict[str, float]:
    """Return rank correlations, R2, mean absolute error and mean absolute relative error (a fraction).

    Both arguments have shape ``(n,)``. Correlations and R2 are NaN if there are fewer than two rows or no variation.
    """
    from scipy.stats import kendalltau, spearmanr

    error = predicted - measured
    varies = len(measured) > 1 and np.ptp(measured) > 0 and np.ptp(predicted) > 0
    return {
        "kendall_tau": float(kendalltau(measured, predicted).statistic) if varies else np.nan,
        "spearman": float(spearmanr(measured, predicted).statistic) if varies else np.nan,
        "r2": float(1 - (error**2).mean() / measured.var()) if varies else np.nan,
        "mae": float(np.abs(error).mean()),
        "mape": float((np.abs(error) / np.abs(measured)).mean()),
    }


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share that was observed in ``count`` independent cases (Wilson 1927).

    Examples:
        >>> low, high = wilson_interval(0.628, 320)
        >>> round(low, 3), round(high, 3)
        (0.574, 0.679)
    """
    if count == 0:
        return 0.0, 1.0
    squared = _NORMAL**2 / count
    middle = (share + squared / 2) / (1 + squared)
    half = math.sqrt(max(0.0, share * (1 - share)) * squared + squared**2 / 4) / (1 + squared)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two accuracies with its 95% interval.

    Attributes:
        value: the difference, a fraction.
        half_width: half the width of the interval, a fraction.
    """

    value: float
    half_width: float


def paired_difference(first: Flags, second: Flags, noise: Noise | None, inflation: float = 1.0) -> Difference:
    """Return the difference of two networks' accuracies on the same images.

    Two sources of chance are added: which images the split happens to hold, from the differences on single images, with
    one image more that only the first and one that only the second gets right (Bonett and Price 2012); and the seeds of
    the trainings, from ``noise``.

    Args:
        first: whether each training of one network classified each image correctly, ``(trainings, images)``.
        second: the same of the other network, ``(trainings, images)``.
        noise: noise of one training from seed to seed; ``None`` if it is not known, and then left out.
        inflation: factor on the variance that comes from the images, for scores that weigh images unequally.
    """
    each = first.mean(0) - second.mean(0)
    count = len(each) + 2
    images = inflation * float(((each**2).sum() + 2) / count - (each.sum() / count) ** 2) / count
    seeds = 0.0 if noise is None else noise.std**2 * (1 / len(first) + 1 / len(second))
    return Difference(float(each.mean()), _half_width([(images, count - 1), *_seed_part(seeds, noise)]))


def mean_difference(first: Sequence[float], second: Sequence[float], noise: Noise | None) -> Difference:
    """Return the difference of two mean accuracies, with the chance of seeds alone.

    The interval is infinite if the noise is not known.
    """
    value = statistics.fmean(first) - statistics.fmean(second)
    return Difference(value, math.inf if noise is None else noise.smallest_difference(len(first), len(second)))


def smallest_visible_difference(images: int, share: float = 0.7, disagreement: float = 0.25) -> float:
    """Return the difference of two accuracies that ``images`` test images can show, a fraction.

    Two networks that differ on a share ``disagreement`` of the images are assumed, or on as many as an accuracy of
    ``share`` allows. It is half the width of the 95% interval of the difference.

    Examples:
        >>> round(smallest_visible_difference(320), 3)
        0.055
    """
    return _NORMAL * math.sqrt(min(disagreement, 2 * min(share, 1 - share)) / max(1, images))


def _seed_part(variance: float, noise: Noise | None) -> list[tuple[float, int]]:
    return [] if noise is None or not variance else [(variance, noise.freedom)]


def _half_width(parts: Sequence[tuple[float, int]]) -> float:
    """Return half of the 95% interval of a sum of estimated variances (Welch and Satterthwaite).

    ``parts`` are the variances with their degrees of freedom.
    """
    from scipy.stats import t

    variance = sum(one for one, _ in parts)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(one**2 / own for one, own in parts)
    return float(t.ppf(0.975, freedom)) * math.sqrt(variance)
