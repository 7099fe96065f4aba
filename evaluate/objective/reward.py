"""The reward: ``ACC(m) x [cost(m) / T] ** w`` (MnasNet, arXiv 1807.11626, equations 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SOFT_EXPONENT = -0.07
EXPONENTS = {"soft": (_SOFT_EXPONENT, _SOFT_EXPONENT), "hard": (0.0, -1.0)}


@dataclass(frozen=True, slots=True)
class Factor:
    """One cost factor ``[cost / target] ** w``, with ``w = alpha`` while cost <= target and ``beta`` above.

    Attributes:
        metric: name of the cost, for instance ``macs``.
        target: T, in the metric's unit.
        alpha: exponent at or below the target.
        beta: exponent above it.
    """

    metric: str
    target: float
    alpha: float = _SOFT_EXPONENT
    beta: float = _SOFT_EXPONENT

    def __call__(self, metrics: Mapping[str, float]) -> float:
        """Return the factor for a network's metrics.

        Raises:
            KeyError: if the metric was not measured.
            ValueError: if it is not positive.

        Examples:
            >>> round(Factor("macs", 400e6)({"macs": 200e6}), 4)
            1.0497
        """
        if not metrics[self.metric] > 0:
            raise ValueError(
                f"the metric '{self.metric}' is {metrics[self.metric]:g}, but a factor of the reward needs a positive "
                "value"
            )
        ratio = metrics[self.metric] / self.target
        return float(ratio ** (self.alpha if ratio <= 1 else self.beta))

    def many(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the factors of many networks, ``(n,)``, from their metrics, ``(n,)`` each."""
        ratio = columns[self.metric] / self.target
        return np.asarray(ratio ** np.where(ratio <= 1, self.alpha, self.beta))


@dataclass(frozen=True, slots=True)
class Reward:
    """The accuracy times any number of cost factors; without factors, the accuracy alone."""

    factors: tuple[Factor, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the costs that it needs besides the accuracy."""
        return tuple(factor.metric for factor in self.factors)

    def __call__(self, metrics: Mapping[str, float]) -> float:
        """Return the number to maximise.

        Raises:
            KeyError: if a factor's metric was not measured.
            ValueError: if it is not positive.
        """
        reward = metrics["accuracy"]
        for factor in self.factors:
            reward *= factor(metrics)
        return reward

    def many(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the rewards of many networks, ``(n,)``, from their metrics, ``(n,)`` each."""
        rewards = np.asarray(columns["accuracy"], dtype=np.float64)
        for factor in self.factors:
            rewards = rewards * factor.many(columns)
        return rewards
