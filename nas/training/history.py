"""The rows of a training's history: which epoch is the best, by the metric that the training maximises."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy"]
_COLUMNS = {"accuracy": "top1", "top5_accuracy": "top5"}  # of the history, where they differ from the metric's name
_KINDS = ("ema", "raw")  # the average of the weights is preferred among ties


def column(metric: str) -> str:
    """Return the name of a metric's columns in the history, without ``raw_`` or ``ema_``."""
    return _COLUMNS.get(metric, metric)


def better(row: Mapping[str, Any], metric: str = "accuracy") -> str:
    """Return which scored better in an epoch: the weights (``raw``) or their average (``ema``)."""
    known = [kind for kind in _KINDS if f"{kind}_{column(metric)}" in row]
    return max(known, key=lambda kind: float(row[f"{kind}_{column(metric)}"]))


def value(row: Mapping[str, Any], metric: str = "accuracy") -> float:
    """Return the better value of a metric in an epoch, of the weights or of their average, a fraction."""
    return float(row[f"{better(row, metric)}_{column(metric)}"])


def is_best(history: Sequence[Mapping[str, Any]], metric: str) -> bool:
    """Return whether no earlier epoch was better than the last."""
    return value(history[-1], metric) >= max(value(row, metric) for row in history)


def epochs_since_best(history: Sequence[Mapping[str, Any]], metric: str) -> int:
    """Return the number of epochs after the first of the best."""
    best = max(range(len(history)), key=lambda place: value(history[place], metric))
    return len(history) - 1 - best


def table(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the history as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


def read_table(text: str) -> list[dict[str, str]]:
    """Return the rows of a history that ``table`` wrote."""
    return list(csv.DictReader(io.StringIO(text)))
