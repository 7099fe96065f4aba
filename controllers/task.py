"""What a controller is given: what may be proposed, and what a trial is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.search_spaces.domain import Domain

Numbers = NDArray[np.float64]


class RewardFunction(Protocol):
    """The number to maximise, for many networks at once; it must not fall when the accuracy rises.

    Attributes:
        metrics: the costs that it needs beside the accuracy.
    """

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return their names."""

    def many(self, columns: Mapping[str, NDArray[Any]]) -> Numbers:
        """Return the rewards ``(n,)`` of networks from their metrics, ``(n,)`` each."""


@dataclass(frozen=True)
class AccuracyAlone:
    """The reward where there is no target."""

    metrics: tuple[str, ...] = ()

    def many(self, columns: Mapping[str, NDArray[Any]]) -> Numbers:
        """Return the accuracies."""
        return np.asarray(columns["accuracy"], dtype=np.float64)


@dataclass(frozen=True)
class Task:
    """What a controller is to solve.

    Attributes:
        domain: what may be proposed, with the costs that are known before anything is trained.
        reward: accuracy and costs in, the number to maximise out; for controllers that work out for themselves what
            an accuracy would be worth. What a trial came to stands in ``Trial.reward``.
    """

    domain: Domain
    reward: RewardFunction = field(default_factory=AccuracyAlone)
