"""Predictions for any genotype from the observed trials: one Gaussian process for each modelled metric.

Trials of an earlier run may have been trained with other settings. A process fitted to them predicts the results of
this run: the earlier results are shifted by the median difference, and the variance of the differences is added to
their noise. If trials have failed, a process over successes and failures finds the genotypes that are more likely to
fail than to succeed. Failures do not change the predicted means of the metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.controllers.predictor.features import Features
from nas.controllers.predictor.gaussian_process import NOISE, GaussianProcess, Posterior
from nas.controllers.predictor.observations import Observations
from nas.controllers.task import Numbers
from nas.search_spaces.domain import Domain, Genes

FIRST_STEPS, LATER_STEPS = 40, 15  # steps of the optimisation of hyperparameters
GROWTH = 1.1  # hyperparameters are fitted again when the number of results has grown by this factor
_MOST_LEARNED = 300  # maximum number of results that hyperparameters are fitted to
_MOST_OPEN = 200  # maximum number of architectures without a result that reduce the uncertainty
_EVEN = 0.5  # probability of success below which an architecture is proposed only if no other is left
_LABEL_NOISE = 0.3  # initial share of the variance of success that no gene explains


class Model:
    """Predicts metrics of genotypes.

    Args:
        domain: the domain of the genotypes, with their known costs.
        metrics: the modelled metrics, and for each whether higher is better.
        most: maximum number of results that are used.

    Attributes:
        observations: the trials that it learns from; the controller adds to them.
        impossible: genotypes that cannot be evaluated, in the order in which they were found; the controller adds to
            them.
    """

    def __init__(self, domain: Domain, metrics: Mapping[str, bool], most: int) -> None:
        self.domain, self.metrics, self.most = domain, tuple(metrics), most
        sizes = domain.space.gene_sizes
        self.features = Features(sizes)
        self.observations = Observations(len(sizes))
        self.processes = {name: GaussianProcess(self.features, rises) for name, rises in metrics.items()}
        self.impossible: dict[tuple[int, ...], None] = {}
        self._learned_from = self._judged_from = 0
        self._chances = GaussianProcess(self.features)
        self._chances.hyperparameters[NOISE] = np.log(_LABEL_NOISE)
        self._judges = False
        self._rows: dict[tuple[int, ...], Numbers] = {}

    def rows(self, genes: Genes) -> Numbers:
        """Return the features of genotypes, ``(n, features)``."""
        return self.features.of(genes, self.domain.costs(genes) if len(genes) else {})

    def refresh(self, pending: Sequence[tuple[int, ...]]) -> None:
        """Update the model with all observations; ``pending`` are genotypes whose trials are still running."""
        seen = self.observations
        places = seen.most_telling(self.most)
        rows = self._known_rows([seen.genes[index] for index in places])
        open_ones = [*(seen.genes[index] for index in seen.places("failed", "pruned")), *pending][-_MOST_OPEN:]
        open_rows = self._known_rows(open_ones)
        learns_again = len(places) >= GROWTH * self._learned_from
        for name, process in self.processes.items():
            values, noise = self._values(name, process, rows, places)
            if learns_again:
                some = _spread(len(places), _MOST_LEARNED)
                steps = LATER_STEPS if self._learned_from else FIRST_STEPS
                process.learn_hyperparameters(rows[some], values[some], steps)
            process.condition(rows, values, open_rows, noise)
        if learns_again:
            self._learned_from = len(places)
        self._judge_failures()

    def predict(self, rows: Numbers) -> dict[str, Posterior]:
        """Predict every modelled metric for features ``(n, features)``."""
        return {name: process.predict(rows) for name, process in self.processes.items()}

    def doubt(self, rows: Numbers) -> Numbers:
        """Return a penalty ``(n,)`` for likely failure, from features ``(n, features)`` of architectures.

        It is 0 if success is at least as likely as failure. Otherwise it is at least 1, and grows as success becomes
        less likely.
        """
        if not self._judges:
            return np.zeros(len(rows))
        chances = self._chances.predict(rows).mean
        return np.where(chances >= _EVEN, 0.0, 1 + _EVEN - chances)

    def state(self) -> dict[str, Any]:
        """Return the state that determines predictions, as plain values."""
        return {
            "observations": self.observations.state(),
            "hyperparameters": {name: process.state() for name, process in self.processes.items()},
            "learned_from": self._learned_from,
            "chances": self._chances.state(),
            "judged_from": self._judged_from,
            "impossible": [list(genes) for genes in self.impossible],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state`` returned."""
        self.observations.load_state(state["observations"], self.metrics)
        for name, process in self.processes.items():
            process.load_state(state["hyperparameters"][name])
        self._learned_from = _count(state["learned_from"])
        self._chances.load_state(state["chances"])
        self._judged_from = _count(state["judged_from"])
        self.impossible = dict.fromkeys(tuple(genes) for genes in state["impossible"])

    def _values(
        self, name: str, process: GaussianProcess, rows: Numbers, places: Sequence[int]
    ) -> tuple[Numbers, Numbers]:
        """Return a metric's results ``(n,)``, those of an earlier run shifted, and their additional variances."""
        values = self.observations.metric_at(name, places)
        extra = np.zeros(len(values))
        earlier = np.array([self.observations.earlier[index] for index in places], dtype=bool)
        if earlier.any() and not earlier.all():
            process.condition(rows[earlier], values[earlier], rows[:0])
            differences = values[~earlier] - process.predict(rows[~earlier]).mean
            values = values + np.where(earlier, np.median(differences), 0.0)
            extra += np.where(earlier, differences.var() if len(differences) > 2 else 0.0, 0.0)
        return values, extra

    def _judge_failures(self) -> None:
        """Update the model of failures, if there are any."""
        seen = self.observations
        failed = [*(seen.genes[index] for index in seen.places("failed")), *self.impossible][-self.most // 2 :]
        self._judges = bool(failed)
        if failed:
            succeeded = [seen.genes[index] for index in seen.most_telling(self.most // 2)]
            rows = self._known_rows([*succeeded, *failed])
            labels = np.repeat([1.0, 0.0], [len(succeeded), len(failed)])
            if len(rows) >= GROWTH * self._judged_from:
                some = _spread(len(rows), _MOST_LEARNED)
                self._chances.learn_hyperparameters(rows[some], labels[some], LATER_STEPS)
                self._judged_from = len(rows)
            self._chances.condition(rows, labels, rows[:0])

    def _known_rows(self, genes: Sequence[tuple[int, ...]]) -> Numbers:
        """Return the features of genotypes, which are cached for later calls."""
        if new := [one for one in dict.fromkeys(genes) if one not in self._rows]:
            self._rows.update(zip(new, self.rows(np.array(new, dtype=np.int64)), strict=True))
        found = [self._rows[one] for one in genes]
        return np.array(found) if found else np.zeros((0, len(self.features.groups)))


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` indices below ``count``, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _count(value: Any) -> int:
    """Return a number of results from a saved state.

    Raises:
        ValueError: if it is none.
    """
    if type(value) is not int or not 0 <= value < 10**9:
        raise ValueError(f"expected a number of results, got {value!r:.40}")
    return value
