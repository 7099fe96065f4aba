"""NSGA-II (Deb et al. 2002, IEEE Transactions on Evolutionary Computation 6(2)), one trial at a time.

Survivors are selected from parents and children together, by constrained nondominated sorting and crowding. Parents are
the winners of binary tournaments; children are made by uniform crossover and mutation. Survivors are selected whenever
trials finish rather than once per generation, so that no worker waits for the slowest trial of its generation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.controllers.controller import Controller, State
from nas.controllers.nondominated import best_first
from nas.controllers.objectives import Constraints, Objectives, Watch, default_objectives
from nas.controllers.task import Task
from nas.controllers.variation import crossover, mutated_inside
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial

_POPULATION = 40


@dataclass(frozen=True, slots=True)
class Member:
    """A network of the population, its objectives (not negated), and its violation of the constraints."""

    architecture: Architecture
    values: tuple[float, ...]
    violation: float


class NSGA2(Controller):
    """Evolution towards a whole Pareto front.

    Args:
        task: the domain of architectures and the reward function.
        seed: seed of the controller's random generator.
        population: number of survivors; the search starts with this number of random networks.
        objectives: names of metrics (``accuracy``, ``macs``, ``max:NAME``), or ``reward``; if empty, the accuracy and,
            if known, the MACs (otherwise the params).
        constraints: bounds of metrics that are known only after a trial: upper bounds, or lower bounds of maximised
            metrics. (Bounds of costs known before training are the run's limits; architectures that exceed a limit are
            not tried.)
        crossover: probability that a child has two parents.
        repairs: maximum number of further mutations that bring a child back into the budget.
    """

    name = "nsga2"
    summary = "NSGA-II: a Pareto front of accuracy and costs, constrained domination (Deb et al. 2002)"

    def __init__(
        self,
        task: Task,
        seed: int,
        *,
        population: int = _POPULATION,
        objectives: Sequence[str] = (),
        constraints: Mapping[str, float] = {},
        crossover: float = 0.9,
        repairs: int = 4,
    ) -> None:
        super().__init__(task, seed)
        if population < 2:
            raise InputError(f"controller.population: expected at least 2, got {population}")
        if repairs < 0:
            raise InputError(f"controller.repairs: expected 0 or more, got {repairs}")
        if not 0 <= crossover <= 1:
            raise InputError(f"controller.crossover: expected a probability, got {crossover}")
        self.objectives = Objectives.parse(objectives) if objectives else default_objectives(task.domain)
        self.constraints = Constraints.parse(constraints, self.objectives)
        self.population, self.crossover, self.repairs = population, crossover, repairs
        bounded = [name for name, _ in self.constraints.bounds]
        self._watches = (
            Watch("controller.objectives", self.objectives.names),
            Watch("controller.constraints", bounded),
        )
        self._members: list[Member] = []  # best first
        self._tried = 0  # number of trials of any status, with the survivors of a warm start

    @classmethod
    def fitted(cls, trials: int, given: Mapping[str, Any]) -> State:  # noqa: ARG003 (depends on nothing else)
        """Return 40 for ``population``, but at most a quarter of the trials."""
        return {"population": max(min(trials // 4, _POPULATION), 2)}

    def propose(self) -> Architecture | None:
        """Return a random network until the first generation is proposed, then a child."""
        if self._tried + len(self.pending) < self.population or not self._members:
            return self.domain.sample(self.generator)
        parent = self._tournament()
        genes = list(parent.genes)
        if self.generator.random() < self.crossover:
            genes = crossover(self.generator, genes, self._tournament().genes)
        return mutated_inside(self.domain, self.generator, genes, parent, self.repairs)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials and select the survivors."""
        super().tell(trials)
        for watch in self._watches:
            watch.see(trials)
        self._survive()

    def warm_start(self, trials: Sequence[Trial]) -> None:
        """Start with the survivors of an earlier run; random networks come first only if these are too few."""
        super().warm_start(trials)
        self._survive()
        self._tried = len(self._members)

    def learn(self, trial: Trial) -> None:
        """Add a network that has all objectives; failed trials are not added."""
        self._tried += 1
        if (values := self.objectives.of(trial)) is not None:
            metrics = {**trial.metrics, "reward": float(trial.reward or 0)}
            self._members.append(Member(trial.architecture, values, self.constraints.violation(metrics)))

    def own_state(self) -> State:
        """Return the population, best first."""
        members = [[list(one.architecture.genes), list(one.values), one.violation] for one in self._members]
        return {"members": members, "tried": self._tried}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the population."""
        for watch in self._watches if state["members"] else ():
            watch.trust()
        self._tried = int(state["tried"])
        self._members = [
            Member(self.restored(genes), tuple(values), violated) for genes, values, violated in state["members"]
        ]

    def _survive(self) -> None:
        if not self._members:
            return
        points = self.objectives.to_minimise(np.array([member.values for member in self._members]))
        order = best_first(points, np.array([member.violation for member in self._members]))
        self._members = [self._members[index] for index in order[: self.population]]

    def _tournament(self) -> Architecture:
        """Return the better of two random members; members are sorted best first."""
        return self._members[int(self.generator.integers(len(self._members), size=2).min())].architecture
