"""Judgement of networks that a search on the surrogate has picked.

A model overestimates the networks that were picked by its own predictions. So a picked network is judged by another
fit, which was made from other trainings than the search's fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nas.evaluate.imagenet.prediction import REPORT, SEARCH, Surrogate, shipped_surrogate

QUANTILE = 1.96  # standard normal quantile of a two-sided 95% interval


@dataclass(frozen=True, slots=True)
class Judgement:
    """The predictions for one network; all accuracies are ImageNet top-1 as fractions.

    Attributes:
        accuracy: accuracy after the benchmark's 16-epoch schedule, by the fit that did not pick the network.
        accuracy_std: standard deviation of one real training around ``accuracy``.
        accuracy_longer: accuracy after the benchmark's longer schedule (about 5.5 times as long); this is not a full
            training either.
        accuracy_longer_std: standard deviation of one training with the longer schedule.
        picked_by: accuracy predicted by the fit that the search used.
        extrapolated: whether the network is outside the range of networks that the surrogate was fitted to.
    """

    accuracy: float
    accuracy_std: float
    accuracy_longer: float
    accuracy_longer_std: float
    picked_by: float
    extrapolated: bool

    @property
    def optimism(self) -> float:
        """Accuracy predicted by the search's own fit minus ``accuracy``."""
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
    """Return the 95% interval of the difference in accuracy between one training of each network.

    The errors of both predictions and the noise of both trainings are assumed to be independent.
    """
    spread = math.hypot(better.accuracy_std, other.accuracy_std)
    gain = better.accuracy - other.accuracy
    return gain - QUANTILE * spread, gain + QUANTILE * spread
