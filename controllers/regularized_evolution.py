"""Regularized evolution (Real et al. 2019, arXiv 1802.01548, algorithm 1).

A population of the newest ``population`` networks; the parent is the best of ``sample`` drawn from it; the child
differs by one mutation; the oldest dies, however good it is. Inside a band a single mutation often leaves the budget:
then further mutations follow until the child is back inside.

A population fits its run: with too few trials it would be random search, with many a small one loses its diversity.
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

LEAST, MOST = 20, 200  # population, unless the trials are few


class RegularizedEvolution(Controller):
    """Aging evolution with tournament selection.

    Args:
        task: what may be proposed.
        seed: of the controller's generator.
        population: how many of the newest networks can be parents; as many random ones come first.
        sample: how many are drawn for each tournament.
        repairs: how many further mutations may bring a child back into the band.
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
        """A twenty-fifth of the trials as the population, from 20 to 200, but at most a quarter of them."""
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
        """Add a trained network to the population; the oldest falls out. Failures are no parents."""
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
