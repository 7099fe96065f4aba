"""Statistics: the noise of repeated measurements, and how well two orders agree."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Noise:
    """What chance does to one training.

    Attributes:
        std: standard deviation within networks, pooled over them.
        freedom: degrees of freedom it is estimated with.
    """

    std: float
    freedom: int

    def smallest_difference(self, first: int = 1, second: int = 1) -> float:
        """Return the difference of two means that chance exceeds in 5% of cases, for so many trainings of each.

        By Student's t distribution, because the standard deviation is itself an estimate from few trainings.
        """
        from scipy.stats import t

        return float(t.ppf(0.975, self.freedom)) * self.std * math.sqrt(1 / first + 1 / second)


def measure_noise(groups: Iterable[Sequence[float]]) -> Noise | None:
    """Measure the noise within groups that have means of their own; ``None`` if no group has two values."""
    squares, freedom = 0.0, 0
    for group in groups:
        if len(group) > 1:
            mean = statistics.fmean(group)
            squares += sum((value - mean) ** 2 for value in group)
            freedom += len(group) - 1
    return Noise(math.sqrt(squares / freedom), freedom) if freedom else None


Values = NDArray[np.float64]


def agreement(measured: Values, predicted: Values) -> dict[str, float]:
    """Return rank correlations, R2, mean absolute error and mean absolute relative error (a fraction), ``(n,)`` each.

    Correlations are NaN where there are fewer than two rows or no variation.
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
