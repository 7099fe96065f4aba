"""Statistics of a running search: counts, the best trial, the Pareto front and its hypervolume."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from nas.core.records import Trial
from nas.evaluate.objective.pareto import hypervolume, pareto_front
from nas.search.config import RunConfig


def most_macs(config: RunConfig) -> float | None:
    """Return the maximum MACs of a run: its target, else its limit; ``None`` if it has neither."""
    return config.objective.target_flops or config.objective.limits.get("macs")


class Tally:
    """Statistics of a search, which are updated with every trial.

    Args:
        trials: trials that have already ended.
        most_macs: MACs of the hypervolume's reference point: the target or the limit; ``None``: the largest MACs of any
            trial.

    Attributes:
        trials: all trials that have ended.
        failed: number of failed trials.
        pruned: number of trials pruned by successive halving.
        best: the trial with the highest reward; ``None`` if there is none.
        seconds: total seconds of all trials.
    """

    def __init__(self, trials: Iterable[Trial], most_macs: float | None = None) -> None:
        self.trials: list[Trial] = []
        self.failed, self.pruned, self.seconds, self._largest = 0, 0, 0.0, 0.0
        self.best: Trial | None = None
        self._most_macs = most_macs
        self._lock = threading.Lock()
        self._front: list[Trial] = []
        self._fresh: list[Trial] = []  # not compared with the front yet
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> bool:
        """Add a trial. Returns True if it is the best so far."""
        self.trials.append(trial)
        self.seconds += trial.seconds
        self.failed += trial.status == "failed"
        self.pruned += trial.status == "pruned"
        if trial.reward is None:
            return False
        self._largest = max(self._largest, trial.metrics.get("macs", 0.0))
        with self._lock:
            self._fresh.append(trial)
        better = self.best is None or trial.reward > (self.best.reward or 0.0)
        if better:
            self.best = trial
        return better

    @property
    def front(self) -> list[Trial]:
        """The Pareto front in accuracy, MACs and params, by decreasing accuracy."""
        with self._lock:  # the display's thread reads while the loop's thread adds
            if self._fresh:
                known = [*self._front, *self._fresh]
                self._front = [known[place] for place in pareto_front([trial.metrics for trial in known])]
                self._fresh = []
            return self._front

    @property
    def volume(self) -> float | None:
        """The front's hypervolume, a fraction; ``None`` where MACs are not known."""
        rows = [trial.metrics for trial in self.front]
        if not rows or any("macs" not in row for row in rows):
            return None
        return hypervolume(rows, self._most_macs or self._largest)
