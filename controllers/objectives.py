"""What controllers with several objectives optimise, and in which direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.controllers.task import Numbers
from nas.search_spaces.domain import Domain
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Trial

REWARD, ACCURACY = "reward", "accuracy"
RISING = (REWARD, ACCURACY, "throughput")


@dataclass(frozen=True)
class Objectives:
    """Names of metrics, and which of them are maximised.

    Attributes:
        names: metrics of a trial, or ``reward``.
        signs: 1 for what is maximised, -1 for what is minimised.
    """

    names: tuple[str, ...]
    signs: tuple[int, ...]

    @classmethod
    def parse(cls, names: Sequence[Any], key: str = "controller.objectives") -> Objectives:
        """Read ``accuracy``, ``macs``, ``max:battery_life``, ``min:error``.

        Without a direction ``reward``, ``accuracy`` (and what begins with it) and ``throughput`` are maximised,
        everything else is minimised.

        Raises:
            InputError: if there is none, one is no text, or one stands twice.
        """
        found: dict[str, int] = {}
        for name in names:
            direction, colon, metric = name.partition(":") if isinstance(name, str) else ("", "", "")
            metric = metric if colon else direction
            if not metric or (colon and direction not in ("max", "min")):
                raise InputError(f"{key}: expected names such as accuracy, macs or max:NAME, got {name!r}")
            if metric in found:
                raise InputError(f"{key}: '{metric}' stands twice")
            rises = direction == "max" if colon else metric in RISING or metric.startswith(ACCURACY)
            found[metric] = 1 if rises else -1
        if not found:
            raise InputError(f"{key}: expected at least one, such as [accuracy, macs]")
        return cls(tuple(found), tuple(found.values()))

    def of(self, trial: Trial) -> tuple[float, ...] | None:
        """Return a trial's objectives as they are, ``None`` if it did not succeed or lacks one."""
        values = {**trial.metrics, REWARD: trial.reward}
        found = [values.get(name) for name in self.names]
        if trial.status != "ok" or any(value is None or not np.isfinite(value) for value in found):
            return None
        return tuple(float(value) for value in found if value is not None)

    def to_minimise(self, values: NDArray[Any]) -> Numbers:
        """Return objectives ``(n, objectives)`` with those to maximise negated."""
        turned: Numbers = -np.asarray(values, dtype=np.float64) * np.asarray(self.signs)
        return turned


def default_objectives(domain: Domain) -> Objectives:
    """Return the accuracy, and of the costs known before training the MACs, else the params, else none."""
    genes = domain.sample_genes(np.random.default_rng(0), 1)
    known = () if genes is None else domain.costs(genes)
    return Objectives.parse([ACCURACY, *[name for name in ("macs", "params") if name in known][:1]])


def violation(metrics: Mapping[str, float], constraints: Mapping[str, float]) -> float:
    """Return by how much measured metrics break their bounds, as a sum of relative excesses; 0 if they keep to them.

    A bound is the most that is wanted of what is minimised and the least of what is maximised; what was not measured
    breaks its bound whole.
    """
    total = 0.0
    for name, bound in constraints.items():
        rises = name in RISING or name.startswith(ACCURACY)
        value = metrics.get(name)
        excess = abs(bound) if value is None else (bound - value if rises else value - bound)
        total += max(excess, 0.0) / (abs(bound) or 1.0)
    return total
