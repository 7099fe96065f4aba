"""Regularized evolution (Real et al. 2019, arXiv 1802.01548, algorithm 1).

The population holds the newest ``population`` networks. The parent is the best of ``sample`` random members, the child
differs from it by one mutation, and the oldest member is removed, regardless of its reward. A single mutation often
leaves the budget; then further mutations follow until the child is inside.

The default population depends on the number of trials: in a short run a large population would be random search, and in
a long run a small population loses its diversity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from nas.controllers.controller import Controller, State
from nas.controllers.task import Task
from nas.controllers.variation import mutated_inside
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial

LEAST, MOST = 20, 200  # range of the population, unless there are few trials


class RegularizedEvolution(Controller):
    """Aging evolution with tournament selection.

    Args:
        task: the domain of architectures and the reward function.
        seed: seed of the controller's random generator.
        population: number of newest networks that can be parents; the search starts with this number of random ones.
        sample: number of members drawn for each tournament.
        repairs: maximum number of further mutations that bring a child back into the budget.
    """

    name = "evolution"
    summary = "regularized evolution: tournament selection, mutation, death by age (Real et al. 2019)"

    def __init__(self, task: Task, seed: int, *, population: int = LEAST, sample: int = 5, repairs: int = 4) -> None:
        super().__init__(task, seed)
        for name, value in (("population", population), ("sample", sample)):
            if value < 1:
                raise InputError(f"controller.{name}: expected at least 1, got {value}")
        if repairs < 0:
            raise InputError(f"controller.repairs: expected 0 or more, got {repairs}")
        if sample > population:
            raise InputError(f"controller.sample: expected at most the population of {population}, got {sample}")
        self.sample, self.repairs = sample, repairs
        self._population: deque[tuple[Architecture, float]] = deque(maxlen=population)
        self._tried = 0

    @classmethod
    def fitted(cls, trials: int, given: Mapping[str, Any]) -> State:
        """Return ``population`` and ``sample`` for a number of trials.

        ``population`` is a twenty-fifth of the trials, from 20 to 200, but at most a quarter of them. ``sample`` is a
        tenth of the population, but at least 5 (the whole population if it is smaller).
        """
        fitting = max(min(max(trials // 25, LEAST), MOST, trials // 4), 2)
        population = given.get("population", max(fitting, given.get("sample", 0)))
        return {"population": population, "sample": min(max(population // 10, 5), population)}

    def propose(self) -> Architecture | None:
        """Return a random network until the first generation is complete, then a mutated tournament winner."""
        assert self._population.maxlen is not None
        if self._tried + len(self.pending) < self._population.maxlen or not self._population:
            return self.domain.sample(self.generator)
        size = min(self.sample, len(self._population))
        drawn = self.generator.choice(len(self._population), size=size, replace=False)
        parent, _ = max((self._population[int(index)] for index in drawn), key=lambda member: member[1])
        return mutated_inside(self.domain, self.generator, list(parent.genes), parent, self.repairs)

    def learn(self, trial: Trial) -> None:
        """Add a trained network and remove the oldest from a full population. Failed trials are not added."""
        self._tried += 1
        if trial.reward is not None:
            self._population.append((trial.architecture, trial.reward))

    def own_state(self) -> State:
        """Return the population, oldest first."""
        population = [[list(member.genes), reward] for member, reward in self._population]
        return {"population": population, "tried": self._tried}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the population."""
        self._population.clear()
        self._tried = int(state["tried"])
        for genes, reward in state["population"]:
            self._population.append((self.restored(genes), float(reward)))
