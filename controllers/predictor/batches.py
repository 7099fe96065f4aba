"""Which candidates to propose together: the best one by one, each taking its uncertainty away from its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nas.controllers.task import Numbers

Value = Callable[[dict[str, Numbers]], Numbers]
Accept = Callable[[int], bool]


class Beliefs:
    """Joint predictions of metrics for a pool of candidates, updated as some of them are picked.

    Args:
        means: by metric, ``(n,)``.
        covariances: by metric, ``(n, n)``; changed in place.
        noises: variance of a training's noise, by metric.
    """

    def __init__(self, means: dict[str, Numbers], covariances: dict[str, Numbers], noises: dict[str, float]) -> None:
        self.means, self._covariances, self._noises = means, covariances, noises

    @property
    def stds(self) -> dict[str, Numbers]:
        """The uncertainty that is left, by metric, ``(n,)``."""
        return {name: np.sqrt(np.maximum(np.diag(covariance), 0.0)) for name, covariance in self._covariances.items()}

    def observe(self, place: int) -> None:
        """Take a candidate's uncertainty away, as if its result were the predicted one."""
        for name, covariance in self._covariances.items():
            column = covariance[:, place].copy()
            covariance -= np.outer(column, column) / (max(column[place], 0.0) + self._noises[name])


def pick(beliefs: Beliefs, value: Value, count: int, accept: Accept = lambda _: True) -> list[int]:
    """Return the places of up to ``count`` candidates, best first.

    Args:
        beliefs: about the candidates.
        value: makes numbers to maximise, ``(n,)``, of the stds by metric; ``-inf`` where one must not be picked.
        count: how many are wanted.
        accept: has the last word on each.
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
    """Return the places of ``count`` candidates that together say most about all, given those that are ``taken``.

    Greedily those of the largest variance (a D-optimal design, as in Seeger 2004).
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
