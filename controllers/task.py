"""The task of a controller: the domain of architectures and the reward function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.search_spaces.domain import Domain

Numbers = NDArray[np.float64]


class RewardFunction(Protocol):
    """The reward of many networks at once; it must not decrease when the accuracy increases.

    Attributes:
        metrics: names of the costs that it needs besides the accuracy.
    """

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of the costs."""

    def many(self, columns: Mapping[str, NDArray[Any]]) -> Numbers:
        """Return the rewards ``(n,)`` of networks from their metrics, ``(n,)`` each."""


@dataclass(frozen=True)
class AccuracyAlone:
    """The reward of a search without a target: the accuracy."""

    metrics: tuple[str, ...] = ()

    def many(self, columns: Mapping[str, NDArray[Any]]) -> Numbers:
        """Return the accuracies."""
        return np.asarray(columns["accuracy"], dtype=np.float64)


@dataclass(frozen=True)
class Task:
    """The task that a controller solves.

    Attributes:
        domain: the architectures that may be proposed, with the costs that are known before training.
        reward: function from accuracy and costs to the reward, for controllers that compute the reward of predicted
            accuracies. The reward of a finished trial is in ``Trial.reward``.
    """

    domain: Domain
    reward: RewardFunction = field(default_factory=AccuracyAlone)
