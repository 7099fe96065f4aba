"""The finished trials of a predictor, and the selection of those that the model uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.controllers.task import Numbers
from nas.core.records import Status, Trial
from nas.search_spaces.domain import Genes


@dataclass
class Observations:
    """Finished trials, in the order of the ``tell`` calls.

    Attributes:
        tokens: number of genes of an architecture.
        genes: genotype of each trial.
        statuses: status of each trial: ``ok``, ``failed`` or ``pruned``.
        metrics: modelled metrics of each trial.
        rewards: reward of each trial; ``nan`` if it has none.
        earlier: whether each trial is from an earlier run.
    """

    tokens: int
    genes: list[tuple[int, ...]] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    earlier: list[bool] = field(default_factory=list)

    def add(self, trial: Trial, modelled: Sequence[str], earlier: bool) -> None:
        """Add a trial; a successful trial that lacks a modelled metric counts as failed."""
        found = {name: float(trial.metrics[name]) for name in modelled if name in trial.metrics}
        complete = len(found) == len(modelled) and all(np.isfinite(value) for value in found.values())
        self.genes.append(trial.architecture.genes)
        self.statuses.append("failed" if trial.status == "ok" and not complete else trial.status)
        self.metrics.append(found if trial.status == "ok" and complete else {})
        self.rewards.append(float("nan") if trial.reward is None else float(trial.reward))
        self.earlier.append(earlier)

    def places(self, *statuses: Status) -> list[int]:
        """Return the indices of the trials that have one of these statuses."""
        return [index for index, status in enumerate(self.statuses) if status in statuses]

    def new_genes(self) -> Iterator[tuple[int, ...]]:
        """Yield the genes of this run's own trials."""
        return (genes for genes, earlier in zip(self.genes, self.earlier, strict=True) if not earlier)

    def genes_at(self, places: Sequence[int]) -> Genes:
        """Return the genotypes of trials, ``(n, genes)``."""
        return np.array([self.genes[index] for index in places], dtype=np.int64).reshape(-1, self.tokens)

    def metric_at(self, name: str, places: Sequence[int]) -> Numbers:
        """Return a metric of trials that succeeded, ``(n,)``."""
        return np.array([self.metrics[index][name] for index in places], dtype=np.float64)

    def least(self, name: str) -> float:
        """Return the smallest positive value of a metric of the trials that succeeded; 0 if there is none."""
        values = self.metric_at(name, self.places("ok"))
        return float(values[values > 0].min(initial=np.inf)) if (values > 0).any() else 0.0

    def most_telling(self, most: int) -> list[int]:
        """Return the indices of at most ``most`` successful trials: half are the best, the others evenly spread."""
        places = self.places("ok")
        if len(places) <= most:
            return places
        order = sorted(places, key=lambda index: (-np.nan_to_num(self.rewards[index], nan=-np.inf), -index))
        best, rest = order[: most // 2], sorted(order[most // 2 :])
        spread = np.linspace(0, len(rest) - 1, most - len(best)).astype(int)
        return sorted(best + [rest[index] for index in spread])

    def state(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "genes": [list(genes) for genes in self.genes],
            "statuses": list(self.statuses),
            "metrics": [dict(metrics) for metrics in self.metrics],
            "rewards": [None if np.isnan(reward) else reward for reward in self.rewards],
            "earlier": [int(earlier) for earlier in self.earlier],
        }

    def load_state(self, state: Mapping[str, Any], names: Sequence[str] = ()) -> None:
        """Restore what ``state`` returned.

        Raises:
            ValueError: if the lists differ in length, or a successful trial lacks one of the metrics ``names``.
        """
        self.genes = [tuple(genes) for genes in state["genes"]]
        self.statuses = list(state["statuses"])
        self.metrics = [dict(metrics) for metrics in state["metrics"]]
        self.rewards = [float("nan") if reward is None else float(reward) for reward in state["rewards"]]
        self.earlier = [bool(earlier) for earlier in state["earlier"]]
        lists = (self.genes, self.statuses, self.metrics, self.rewards, self.earlier)
        if len({len(one) for one in lists}) > 1:
            raise ValueError("observations: their lists differ in length")
        for index in self.places("ok"):
            known = self.metrics[index]
            if not all(math.isfinite(float(known.get(name, math.nan))) for name in names):
                raise ValueError(f"observations[{index}]: expected a number for {', '.join(names)}")
