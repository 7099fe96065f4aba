"""Fast nondominated sorting with crowding and constraints (NSGA-II, Deb et al. 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.controllers.task import Numbers


def constrained_ranks(points: Numbers, violations: Numbers) -> NDArray[np.int64]:
    """Return the rank ``(n,)`` of each point under constrained domination (section VI of the paper); 0 is best.

    Two feasible points are compared by Pareto dominance. A feasible point dominates every infeasible one. Of two
    infeasible points, the one with the smaller violation dominates.

    Args:
        points: objectives to minimise, ``(n, objectives)``.
        violations: constraint violation of each point, ``(n,)``; 0 if it is feasible.
    """
    import moocore

    ranks = np.zeros(len(points), dtype=np.int64)
    feasible = violations <= 0
    if feasible.any():
        ranks[feasible] = moocore.pareto_rank(points[feasible])
    if not feasible.all():
        first = int(ranks[feasible].max()) + 1 if feasible.any() else 0
        _, order = np.unique(violations[~feasible], return_inverse=True)
        ranks[~feasible] = first + order
    return ranks


def crowding_distances(points: Numbers) -> Numbers:
    """Return the crowding distance ``(n,)`` of points of one front ``(n, objectives)`` (section III-B).

    The extreme points of each objective have an infinite distance.
    """
    distances = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        distances[order[[0, -1]]] = np.inf
        if (width := values[-1] - values[0]) > 0:
            distances[order[1:-1]] += (values[2:] - values[:-2]) / width
    return distances


def best_first(points: Numbers, violations: Numbers) -> NDArray[np.int64]:
    """Return the indices of all points, by rank and within a rank by decreasing crowding distance (equation 6)."""
    ranks = constrained_ranks(points, violations)
    distances = np.zeros(len(points))
    for rank in np.unique(ranks):
        distances[ranks == rank] = crowding_distances(points[ranks == rank])
    return np.lexsort((-distances, ranks))
