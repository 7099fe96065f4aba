"""The Pareto front of a run: accuracy up, costs down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

COSTS = ("macs", "params")


def pareto_front(rows: Sequence[Mapping[str, float]]) -> list[int]:
    """Return the indices of the non-dominated rows, by decreasing accuracy.

    The objectives are ``accuracy``, which is maximised, and ``macs`` and ``params``, which are minimised; a cost that
    is missing in any row is not used. Of rows with equal values the first is kept.

    Examples:
        >>> pareto_front([{"accuracy": 0.7, "macs": 5}, {"accuracy": 0.6, "macs": 6}, {"accuracy": 0.5, "macs": 4}])
        [0, 2]
    """
    if not rows:
        return []
    import moocore

    costs = [name for name in COSTS if all(name in row for row in rows)]
    points = np.array([[-row["accuracy"], *(row[name] for name in costs)] for row in rows], dtype=float)
    kept = np.flatnonzero(moocore.is_nondominated(points, keep_weakly=False))
    return sorted((int(index) for index in kept), key=lambda index: (-rows[index]["accuracy"], index))


def hypervolume(rows: Sequence[Mapping[str, float]], most_macs: float) -> float:
    """Return the share of the box from accuracy 0 to 1 and from 0 to ``most_macs`` MACs that the rows dominate.

    The hypervolume indicator of Zitzler and Thiele (1998) in two objectives; rows beyond ``most_macs`` add nothing.

    Examples:
        >>> hypervolume([{"accuracy": 0.5, "macs": 50}], 100)
        0.25
    """
    if not rows:
        return 0.0
    import moocore

    points = np.array([[-row["accuracy"], row["macs"] / most_macs] for row in rows], dtype=float)
    return float(moocore.hypervolume(points, ref=np.array([0.0, 1.0])))
