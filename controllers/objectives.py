"""What controllers with several objectives optimise, and in which direction."""

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
TRIED = 64  # genotypes of which one at least should have costs
_log = logging.getLogger(__name__)
LACKED_LIMIT = 3  # trials that succeed without a metric after which nobody is taken to measure it
NEVER = -1  # nothing more is said of a metric that was there once
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


@dataclass(frozen=True)
class Constraints:
    """Bounds of measured metrics: the most of what is minimised, the least of what is maximised.

    Attributes:
        bounds: by metric.
        signs: 1 for what is maximised, -1 for what is minimised.
    """

    bounds: tuple[tuple[str, float], ...] = ()
    signs: tuple[int, ...] = ()

    @classmethod
    def parse(cls, bounds: Mapping[Any, Any], objectives: Objectives) -> Constraints:
        """Read bounds by metric; an objective's direction is the one it has there, others say theirs by ``max:NAME``.

        Raises:
            InputError: if a bound is no number, or a name is odd.
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
        """Return by how much metrics break the bounds, as a sum of relative excesses; 0 if they keep to them.

        What was not measured breaks its bound whole.
        """
        total = 0.0
        for (name, bound), sign in zip(self.bounds, self.signs, strict=True):
            value = metrics.get(name)
            excess = abs(bound) or 1.0 if value is None else sign * (bound - value)
            total += max(excess, 0.0) / (abs(bound) or 1.0)
        return total


class Watch:
    """Says which metrics trials lack: once each, and for good where nobody seems to measure one.

    Args:
        key: the option that names them.
        names: the metrics.
    """

    def __init__(self, key: str, names: Iterable[str]) -> None:
        self.key, self.names = key, tuple(name for name in names if name != REWARD)
        self._lacked: dict[str, int] = {}

    def trust(self) -> None:
        """Take it that every metric is measured, as after a restart: an earlier trial had them."""
        self._lacked = dict.fromkeys(self.names, NEVER)

    def see(self, trials: Sequence[Trial]) -> None:
        """Look at finished trials.

        Raises:
            InputError: if the first few that succeeded all lack a metric: its name is misspelt, or nobody measures it.
        """
        for trial in trials:
            for name in self.names if trial.status == "ok" else ():
                lacked = self._lacked.get(name, 0)
                if name in trial.metrics:
                    self._lacked[name] = NEVER
                    continue
                if lacked == NEVER:
                    continue
                self._lacked[name] = lacked + 1
                text = f"{self.key}: no metric '{name}' in what succeeded{nearest_name(name, list(trial.metrics))}"
                if lacked + 1 == LACKED_LIMIT:
                    raise InputError(f"{text}. Begin a new run with another {self.key}, and this one as --warm-start")
                if not lacked:
                    _log.warning("%s; trials without it count as failed", text)


def known_metrics(domain: Domain) -> set[str]:
    """Return the costs that are known before anything is trained, by some genotypes."""
    genes = domain.sample_genes(np.random.default_rng(0), min(TRIED, domain.affordable))
    return set() if genes is None else set(domain.costs(genes))


def default_objectives(domain: Domain) -> Objectives:
    """Return the accuracy, and of the costs known before training the MACs, else the params, else none."""
    known = known_metrics(domain)
    return Objectives.parse([ACCURACY, *[name for name in ("macs", "params") if name in known][:1]])
