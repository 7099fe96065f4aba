"""The Pareto front of a run: accuracy up, costs down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

COSTS = ("macs", "params")


def pareto_front(rows: Sequence[Mapping[str, float]]) -> list[int]:
    """Return the places of the non-dominated rows, by falling accuracy.

    The objectives are ``accuracy`` (up) and those of ``macs`` and ``params`` (down) that every row has. Of rows with
    equal values the first is kept.
    """
    if not rows:
        return []
    import moocore

    costs = [name for name in COSTS if all(name in row for row in rows)]
    points = np.array([[-row["accuracy"], *(row[name] for name in costs)] for row in rows], dtype=float)
    kept = np.flatnonzero(moocore.is_nondominated(points, keep_weakly=False))
    return sorted((int(index) for index in kept), key=lambda index: (-rows[index]["accuracy"], index))
