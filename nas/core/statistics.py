"""Statistics: the noise of repeated measurements, and the agreement of predicted with measured values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
