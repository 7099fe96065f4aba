"""The budget: limits on costs that are known before anything is trained.

The papers' soft reward has alpha = beta, so the factor ``T ** -w`` is a constant and the best network would be the same
for every T. So the target is also a budget: only architectures with ``(1 - tolerance) * T <= MACs <= T`` are proposed
and trained. Any other cost may have an upper limit too (EfficientNet, arXiv 1905.11946, equation 2: memory and FLOPS).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.units import format_quantity


@dataclass(frozen=True, slots=True)
class Limit:
    """The allowed range of one cost, both ends included.

    Attributes:
        metric: name of the cost, for instance ``macs``.
        high: upper limit; infinite if there is only a lower limit.
        low: lower limit.
        flag: the option that set the limit, as the user typed it.
    """

    metric: str
    high: float
    low: float = 0
    flag: str = ""

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Return how far a network is outside the limit, as a share of the limit; 0 if it is inside."""
        value = metrics[self.metric]
        return max(self.low - value, value - self.high, 0) / self._scale

    def violations(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return ``violation`` of many networks from their costs in this metric, ``(n,)`` each."""
        return np.asarray(np.maximum(np.maximum(self.low - values, values - self.high), 0) / self._scale)

    @property
    def _scale(self) -> float:
        return self.low if math.isinf(self.high) else self.high

    def __str__(self) -> str:
        words = METRIC_WORDS.get(self.metric, self.metric)
        if math.isinf(self.high):
            return f"at least {format_quantity(self.low)} {words}"
        low = f"{format_quantity(self.low)} to " if self.low else "at most "
        return f"{low}{format_quantity(self.high)} {words}"


METRIC_WORDS = {
    "macs": "MACs",
    "peak_activation_bytes": "bytes of activations",
    "weight_bytes": "bytes of weights",
    "memory_bytes": "bytes of memory",
    "latency_ms": "ms",
    "throughput": "images/s",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Any number of limits together, at most one for each metric."""

    items: tuple[Limit, ...] = ()

    def __iter__(self) -> Iterator[Limit]:
        return iter(self.items)

    def __bool__(self) -> bool:
        return bool(self.items)

    def admits(self, metrics: Mapping[str, float]) -> bool:
        """Return whether a network with these metrics is within the budget."""
        return all(limit.low <= metrics[limit.metric] <= limit.high for limit in self.items)

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Return how far outside the budget a network is, as a sum of relative excesses; 0 inside."""
        return sum(limit.violation(metrics) for limit in self.items)

    def among(self, metrics: Collection[str]) -> Limits:
        """Return the limits on these metrics alone."""
        return Limits(tuple(limit for limit in self.items if limit.metric in metrics))

    def violations(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return ``violation`` of many networks, ``(n,)``, from their costs by metric, ``(n,)`` each."""
        return np.asarray(sum(limit.violations(columns[limit.metric]) for limit in self.items))

    def of(self, metric: str) -> tuple[float, float]:
        """Return the lower and the upper limit of one metric; 0 and infinity if it has no limit."""
        for limit in self.items:
            if limit.metric == metric:
                return limit.low, limit.high
        return 0, math.inf


def target_band(metric: str, target: float, tolerance: float, flag: str) -> Limit:
    """Return ``[(1 - tolerance) * target, target]`` of any cost."""
    return Limit(metric, target, (1 - tolerance) * target, flag)


def macs_band(target: float, tolerance: float) -> Limit:
    """Return ``[(1 - tolerance) * target, target]`` in whole MACs."""
    flag = f"--target-flops {format_quantity(target)}"
    return Limit("macs", math.floor(target), math.ceil((1 - tolerance) * target - 1e-6), flag)
