"""Batch selection: the best candidates are picked one by one, and each pick reduces its neighbours' uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nas.controllers.task import Numbers

Value = Callable[[dict[str, Numbers]], Numbers]
Accept = Callable[[int], bool]


class Beliefs:
    """Joint predictions of metrics for a pool of candidates, updated as some of them are picked.

    Args:
        means: predicted means by metric, ``(n,)``.
        covariances: covariances of the predictions by metric, ``(n, n)``; changed in place.
        noises: variance of the training noise by metric.
    """

    def __init__(self, means: dict[str, Numbers], covariances: dict[str, Numbers], noises: dict[str, float]) -> None:
        self.means, self._covariances, self._noises = means, covariances, noises

    @property
    def stds(self) -> dict[str, Numbers]:
        """The remaining standard deviations by metric, ``(n,)``."""
        return {name: np.sqrt(np.maximum(np.diag(covariance), 0.0)) for name, covariance in self._covariances.items()}

    def observe(self, place: int) -> None:
        """Remove a candidate's uncertainty, as if its result were known to be the predicted one."""
        for name, covariance in self._covariances.items():
            column = covariance[:, place].copy()
            covariance -= np.outer(column, column) / (max(column[place], 0.0) + self._noises[name])


def pick(beliefs: Beliefs, value: Value, count: int, accept: Accept = lambda _: True) -> list[int]:
    """Return the indices of up to ``count`` candidates, best first.

    Args:
        beliefs: joint predictions of the candidates.
        value: function from the standard deviations by metric to scores to maximise, ``(n,)``; ``-inf`` for candidates
            that must not be picked.
        count: maximum number of candidates to pick.
        accept: function that returns whether the candidate of an index may be picked.
    """
    picked: list[int] = []
    closed: list[int] = []
    values = value(beliefs.stds)
    while len(picked) < count and len(closed) < len(values):
        values[closed] = -np.inf
        best = int(np.argmax(values))
        if values[best] == -np.inf:
            break
        closed.append(best)
        if accept(best):
            picked.append(best)
            beliefs.observe(best)
            values = value(beliefs.stds)
    return picked


def pick_spread(
    covariance: Numbers, noise: float, taken: Sequence[int], count: int, accept: Accept = lambda _: True
) -> list[int]:
    """Return the indices of ``count`` candidates that are together most informative, given the ``taken`` ones.

    The candidate of the largest remaining variance is picked repeatedly (a D-optimal design, as in Seeger 2004).
    """
    beliefs = Beliefs({}, {"": covariance}, {"": noise})
    for place in taken:
        beliefs.observe(place)
    closed = list(taken)

    def left(stds: dict[str, Numbers]) -> Numbers:
        values = stds[""].copy()
        values[closed] = -np.inf
        return values

    return pick(beliefs, left, count, accept)
