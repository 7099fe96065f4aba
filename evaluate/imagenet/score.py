"""Agreement of the surrogate's predictions with measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nas.core.statistics import Values, agreement
from nas.evaluate.imagenet.measured_table import MeasuredTable
from nas.evaluate.imagenet.prediction import Surrogate
from nas.evaluate.imagenet.skeleton import Genes

AGREEMENTS = ("kendall_tau", "spearman", "r2", "mae", "mape")
_SPEED_ROWS = 100_000


def intervals(measured: Values, predicted: Values, rounds: int = 500, seed: int = 0) -> dict[str, list[float]]:
    """Return 95% bootstrap intervals of ``agreement`` over the rows."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(len(measured), size=(rounds, len(measured)))
    draws = [agreement(measured[chosen], predicted[chosen]) for chosen in rows]
    return {name: np.nanpercentile([draw[name] for draw in draws], [2.5, 97.5]).tolist() for name in AGREEMENTS}


def score(surrogate: Surrogate, table: MeasuredTable, rounds: int = 0) -> dict[str, dict[str, Any]]:
    """Compare predictions with every measured column of ``table``, in its units.

    Args:
        surrogate: the surrogate to score.
        table: the measured networks.
        rounds: bootstrap rounds of the 95% intervals; 0 for none.

    Returns:
        By column: ``AGREEMENTS``, the number of rows ``count``, ``predictions_per_second``, and ``intervals`` if
        ``rounds`` is not 0.
    """
    columns = surrogate.columns(table.genes)
    speeds = {
        "top1": predictions_per_second(lambda genes: surrogate.accuracy(genes), table.genes),
        "devices": predictions_per_second(surrogate.device, table.genes),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, values in table.columns.items():
        known = ~np.isnan(values)
        if not known.any():
            continue
        measured, predicted = values[known], columns[name][known].astype(np.float64)
        row: dict[str, Any] = {**agreement(measured, predicted), "count": int(known.sum())}
        row["predictions_per_second"] = speeds.get(name, speeds["devices"])
        if rounds:
            row["intervals"] = intervals(measured, predicted, rounds)
        found[name] = {key: _plain(value) for key, value in row.items()}
    return found


def predictions_per_second(predict: Callable[[Genes], object], genes: Genes) -> int:
    """Return the predictions per second of one batch of 100,000, after a warm-up call."""
    batch = np.resize(genes, (_SPEED_ROWS, genes.shape[1]))
    predict(batch[:1000])
    start = time.perf_counter()
    predict(batch)
    return round(_SPEED_ROWS / (time.perf_counter() - start))


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold; NaN becomes ``None``."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value
