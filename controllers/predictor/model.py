"""What has been observed, turned into predictions for any genotype: one Gaussian process for each modelled metric.

Trials of an earlier run may have been trained otherwise: their results are shifted by what those of this run differ
from what the earlier ones predict, and count as noisier by how much the differences differ. Where trials have failed,
genotypes that more likely fail than not are told apart, by a process over successes and failures; failures say nothing
about accuracies.
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

FIRST_STEPS, LATER_STEPS = 40, 15  # of the optimisation of hyperparameters
GROWTH = 1.1  # hyperparameters are learned again when there are so many times the results of the last time
MOST_LEARNED = 300  # results that hyperparameters are learned from
MOST_OPEN = 200  # architectures without a result that are accounted for
EVEN = 0.5  # chance to succeed below which an architecture is not proposed
LABEL_NOISE = 0.3  # share of the variance of success that no gene explains, to begin with


class Model:
    """Predicts metrics of genotypes.

    Args:
        domain: gives the costs that are known.
        metrics: what is modelled, and whether more of it is better.
        most: how many results are taken into account at most.

    Attributes:
        observations: what it learns from; added to from outside.
        impossible: genotypes that make no network that may be evaluated, in the order in which they were met; added
            to from outside.
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
        self._chances.hyperparameters[NOISE] = np.log(LABEL_NOISE)
        self._judges = False
        self._rows: dict[tuple[int, ...], Numbers] = {}

    def rows(self, genes: Genes) -> Numbers:
        """Return the features of genotypes, ``(n, features)``."""
        return self.features.of(genes, self.domain.costs(genes) if len(genes) else {})

    def refresh(self, pending: Sequence[tuple[int, ...]]) -> None:
        """Take in all that was observed; ``pending`` are genotypes whose trials are still running."""
        seen = self.observations
        places = seen.most_telling(self.most)
        rows = self._known_rows([seen.genes[index] for index in places])
        open_ones = [*(seen.genes[index] for index in seen.places("failed", "pruned")), *pending][-MOST_OPEN:]
        open_rows = self._known_rows(open_ones)
        learns_again = len(places) >= GROWTH * self._learned_from
        for name, process in self.processes.items():
            values, noise = self._values(name, process, rows, places)
            if learns_again:
                some = _spread(len(places), MOST_LEARNED)
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
        """Return 0 for features ``(n, features)`` of architectures that succeed more likely than they fail.

        For the others it is at least 1, and the more, the less likely they succeed; ``(n,)``.
        """
        if not self._judges:
            return np.zeros(len(rows))
        chances = self._chances.predict(rows).mean
        return np.where(chances >= EVEN, 0.0, 1 + EVEN - chances)

    def state(self) -> dict[str, Any]:
        """Return all that decides predictions, as plain values."""
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
        self.observations.load_state(state["observations"])
        for name, process in self.processes.items():
            process.load_state(state["hyperparameters"][name])
        self._learned_from = int(state["learned_from"])
        self._chances.load_state(state["chances"])
        self._judged_from = int(state["judged_from"])
        self.impossible = dict.fromkeys(tuple(genes) for genes in state["impossible"])

    def _values(
        self, name: str, process: GaussianProcess, rows: Numbers, places: Sequence[int]
    ) -> tuple[Numbers, Numbers]:
        """Return a metric's results ``(n,)``, an earlier run's shifted, and the variance of each beyond the noise."""
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
        """Model what fails, where anything has."""
        seen = self.observations
        failed = [*(seen.genes[index] for index in seen.places("failed")), *self.impossible][-self.most // 2 :]
        self._judges = bool(failed)
        if failed:
            succeeded = [seen.genes[index] for index in seen.most_telling(self.most // 2)]
            rows = self._known_rows([*succeeded, *failed])
            labels = np.repeat([1.0, 0.0], [len(succeeded), len(failed)])
            if len(rows) >= GROWTH * self._judged_from:
                some = _spread(len(rows), MOST_LEARNED)
                self._chances.learn_hyperparameters(rows[some], labels[some], LATER_STEPS)
                self._judged_from = len(rows)
            self._chances.condition(rows, labels, rows[:0])

    def _known_rows(self, genes: Sequence[tuple[int, ...]]) -> Numbers:
        """Return the features of genotypes that are asked for again and again."""
        if new := [one for one in dict.fromkeys(genes) if one not in self._rows]:
            self._rows.update(zip(new, self.rows(np.array(new, dtype=np.int64)), strict=True))
        found = [self._rows[one] for one in genes]
        return np.array(found) if found else np.zeros((0, len(self.features.groups)))


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` places evenly spread over ``count``."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
