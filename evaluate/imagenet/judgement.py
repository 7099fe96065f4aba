"""What may be said of networks that a search on the surrogate has picked.

The optimum of a model is an over-estimate by that model. So a picked network is judged by a fit to other trainings than
those the search's fit was made from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nas.evaluate.imagenet.prediction import REPORT, SEARCH, Surrogate, shipped_surrogate

QUANTILE = 1.96  # of 95%


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is predicted of one network; all accuracies are fractions of ImageNet top-1.

    Attributes:
        accuracy: after the benchmark's 16-epoch schedule, by the fit that did not pick the network.
        accuracy_std: standard deviation of one real training around that.
        accuracy_longer: after its about 5.5 times longer schedule; not full training either.
        accuracy_longer_std: std of one such training.
        picked_by: what the fit that the search used predicts.
        extrapolated: whether the network is further out than any the surrogate learned from.
    """

    accuracy: float
    accuracy_std: float
    accuracy_longer: float
    accuracy_longer_std: float
    picked_by: float
    extrapolated: bool

    @property
    def optimism(self) -> float:
        """By how much the search's own fit rates the network higher."""
        return self.picked_by - self.accuracy


def judge(genes: tuple[int, ...], surrogate: Surrogate | None = None) -> Judgement:
    """Judge a genotype of the skeleton."""
    surrogate = surrogate or shipped_surrogate()
    row = np.array([genes])
    mean, spread = surrogate.accuracy(row, REPORT)
    longer, longer_spread = surrogate.longer(mean, spread)
    picked, _ = surrogate.accuracy(row, SEARCH)
    return Judgement(
        accuracy=float(mean[0]) / 100,
        accuracy_std=float(spread[0]) / 100,
        accuracy_longer=float(longer[0]) / 100,
        accuracy_longer_std=float(longer_spread[0]) / 100,
        picked_by=float(picked[0]) / 100,
        extrapolated=bool(surrogate.extrapolates(row)[0]),
    )


def gain_interval(better: Judgement, other: Judgement) -> tuple[float, float]:
    """Return the 95% interval of the difference in accuracy of one training each.

    The errors of both predictions and the noise of both trainings are taken as independent.
    """
    spread = math.hypot(better.accuracy_std, other.accuracy_std)
    gain = better.accuracy - other.accuracy
    return gain - QUANTILE * spread, gain + QUANTILE * spread
