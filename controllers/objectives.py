"""The objectives and constraints of multi-objective controllers, with their directions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.controllers.task import Numbers
from nas.core.errors import InputError, nearest_name
from nas.core.records import Trial
from nas.search_spaces.domain import Domain

REWARD, ACCURACY = "reward", "accuracy"
TRIED = 64  # genotypes drawn to find out which costs are known
_log = logging.getLogger(__name__)
LACKED_LIMIT = 3  # an error is raised if this many successful trials lack a metric
_NEVER = -1  # marks a metric that was measured at least once: its absence is no longer reported
_RISING = (REWARD, ACCURACY, "throughput")


def rises_by_name(metric: str) -> bool:
    """Return whether a metric is maximised unless the user says otherwise.

    Examples:
        >>> [name for name in ("accuracy", "accuracy_std", "accuracy_longer", "macs") if rises_by_name(name)]
        ['accuracy', 'accuracy_longer']
    """
    return not metric.endswith("_std") and (metric in _RISING or metric.startswith(ACCURACY))


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
        """Parse names such as ``accuracy``, ``macs``, ``max:battery_life`` or ``min:error``.

        Without a direction, ``reward``, ``throughput`` and all names that begin with ``accuracy`` are maximised, and
        all other metrics are minimised; names that end in ``_std`` always are.

        Raises:
            InputError: if there is no name, or a name is not a string, has an unknown direction or appears twice.
        """
        found: dict[str, int] = {}
        for name in names:
            direction, colon, metric = name.partition(":") if isinstance(name, str) else ("", "", "")
            metric = metric if colon else direction
            if not metric or (colon and direction not in ("max", "min")):
                raise InputError(f"{key}: expected names such as accuracy, macs or max:NAME, got {name!r}")
            if metric in found:
                raise InputError(f"{key}: '{metric}' appears twice")
            rises = direction == "max" if colon else rises_by_name(metric)
            found[metric] = 1 if rises else -1
        if not found:
            raise InputError(f"{key}: expected at least one, such as [accuracy, macs]")
        return cls(tuple(found), tuple(found.values()))

    def of(self, trial: Trial) -> tuple[float, ...] | None:
        """Return a trial's objectives, not negated; ``None`` if it did not succeed or lacks an objective."""
        values = {**trial.metrics, REWARD: trial.reward}
        found = [values.get(name) for name in self.names]
        if trial.status != "ok" or any(value is None or not np.isfinite(value) for value in found):
            return None
        return tuple(float(value) for value in found if value is not None)

    def to_minimise(self, values: NDArray[Any]) -> Numbers:
        """Return objectives ``(n, objectives)`` with those to maximise negated."""
        turned: Numbers = -np.asarray(values, dtype=np.float64) * np.asarray(self.signs)
        return turned


@dataclass(frozen=True)
class Constraints:
    """Bounds of measured metrics: upper bounds of minimised metrics, lower bounds of maximised ones.

    Attributes:
        bounds: pairs of metric name and bound.
        signs: 1 for what is maximised, -1 for what is minimised.
    """

    bounds: tuple[tuple[str, float], ...] = ()
    signs: tuple[int, ...] = ()

    @classmethod
    def parse(cls, bounds: Mapping[Any, Any], objectives: Objectives) -> Constraints:
        """Parse bounds by metric.

        A metric that is also an objective keeps the objective's direction; for others, ``max:NAME`` gives the
        direction.

        Raises:
            InputError: if a bound is not a finite number, or a name is invalid.
        """
        if not bounds:
            return cls()
        for name, bound in bounds.items():
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not np.isfinite(bound):
                raise InputError(f"controller.constraints.{name}: expected a number, got {bound!r}")
        named = Objectives.parse(list(bounds), "controller.constraints")
        known = dict(zip(objectives.names, objectives.signs, strict=True))
        signs = tuple(known.get(name, sign) for name, sign in zip(named.names, named.signs, strict=True))
        return cls(tuple(zip(named.names, map(float, bounds.values()), strict=True)), signs)

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Return by how much metrics violate the bounds, as a sum of relative violations; 0 if they satisfy all.

        A metric that was not measured counts as a relative violation of 1.
        """
        total = 0.0
        for (name, bound), sign in zip(self.bounds, self.signs, strict=True):
            value = metrics.get(name)
            excess = abs(bound) or 1.0 if value is None else sign * (bound - value)
            total += max(excess, 0.0) / (abs(bound) or 1.0)
        return total


class Watch:
    """Warns once about each metric that trials lack, and raises an error if no trial seems to measure it.

    Args:
        key: the option that names the metrics, for messages.
        names: the metrics.
    """

    def __init__(self, key: str, names: Iterable[str]) -> None:
        self.key, self.names = key, tuple(name for name in names if name != REWARD)
        self._lacked: dict[str, int] = {}

    def trust(self) -> None:
        """Mark every metric as measured, as after a restart, because an earlier trial had all of them."""
        self._lacked = dict.fromkeys(self.names, _NEVER)

    def see(self, trials: Sequence[Trial]) -> None:
        """Check finished trials for missing metrics.

        Raises:
            InputError: if the first ``LACKED_LIMIT`` successful trials all lack a metric: its name is misspelt, or the
                evaluator does not measure it.
        """
        for trial in trials:
            for name in self.names if trial.status == "ok" else ():
                lacked = self._lacked.get(name, 0)
                if name in trial.metrics:
                    self._lacked[name] = _NEVER
                    continue
                if lacked == _NEVER:
                    continue
                self._lacked[name] = lacked + 1
                text = f"{self.key}: no metric '{name}' in successful trials{nearest_name(name, list(trial.metrics))}"
                if lacked + 1 == LACKED_LIMIT:
                    raise InputError(f"{text}. Start a new run with another {self.key} and --warm-start from this run")
                if not lacked:
                    _log.warning("%s; trials without it count as failed", text)


def known_metrics(domain: Domain) -> set[str]:
    """Return the names of the costs that are known before training, found from random genotypes."""
    genes = domain.sample_genes(np.random.default_rng(0), min(TRIED, domain.affordable))
    return set() if genes is None else set(domain.costs(genes))


def default_objectives(domain: Domain) -> Objectives:
    """Return the accuracy and, if known before training, the MACs or else the params."""
    known = known_metrics(domain)
    return Objectives.parse([ACCURACY, *[name for name in ("macs", "params") if name in known][:1]])
