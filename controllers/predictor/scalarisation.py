"""Several objectives as one number: random hypervolume scalarisations (Zhang and Golovin 2020, arXiv 2006.04655)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.controllers.nondominated import constrained_ranks
from nas.controllers.task import Numbers

_MARGIN = 0.1  # distance of the reference point below the worst of the front, as a share of each range


@dataclass(frozen=True)
class Scalarisation:
    """Maps objectives to one number, given weights.

    Attributes:
        reference: the point from which the hypervolume is measured, ``(objectives,)``.
        width: the range of each objective, ``(objectives,)``.
    """

    reference: Numbers
    width: Numbers

    @classmethod
    def of(cls, values: Numbers) -> Scalarisation:
        """Return the scalarisation for the Pareto front of objectives ``(n, objectives)``, all to maximise."""
        front = values[constrained_ranks(-values, np.zeros(len(values))) == 0]
        low, high = front.min(axis=0), front.max(axis=0)
        spread = values.max(axis=0) - values.min(axis=0)
        width = np.where(high > low, high - low, np.where(spread > 0, spread, 1.0))
        return cls(low - _MARGIN * width, width)

    @property
    def unit(self) -> float:
        """The unit of the mapped values: 1, or the range of the objective if there is only one (it is not scaled)."""
        return float(self.width[0]) if len(self.width) == 1 else 1.0

    def draw(self, generator: np.random.Generator) -> Numbers:
        """Return weights ``(objectives,)``: a direction uniform on the positive part of the sphere."""
        if len(self.reference) == 1:
            return np.ones(1)
        direction = np.abs(generator.normal(size=len(self.reference)))
        return np.asarray(np.maximum(direction / np.linalg.norm(direction), 1e-3))

    def __call__(self, values: Numbers, weights: Numbers) -> Numbers:
        """Return how far values ``(n, objectives)`` reach from the reference along ``weights``, ``(n,)``."""
        if values.shape[1] == 1:
            return np.asarray(values[:, 0], dtype=np.float64)
        reached: Numbers = ((values - self.reference) / self.width / weights).min(axis=1)
        return reached
