"""Local search: try the neighbours of the best network, move as soon as one is better (White et al., 2005.02960).

A neighbour differs in one gene, or inside a band in as few as bring it back into the budget. Where ``patience``
neighbours have brought nothing, the search begins anew: at the best of ``start`` random networks, every other time at
the best network of all with ``kick`` genes changed (iterated local search), since optima of these spaces lie close
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.controllers.controller import Controller, State
from nas.controllers.task import Task
from nas.controllers.variation import mutable_genes, mutate, mutated_inside
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture, Trial

Point = tuple[Architecture, float]
LOOKED = 40  # neighbours drawn for one proposal, all of them known or outside, after which there are no others


class LocalSearch(Controller):
    """First-improvement hill climbing with restarts.

    Args:
        task: what may be proposed.
        seed: of the controller's generator.
        start: random networks of which the best is where a climb begins.
        patience: neighbours without a gain after which the climb is over.
        kick: genes that are changed to leave the best network.
    """

    name = "local"
    summary = "local search: neighbours of the best network, first improvement, restarts (White et al. 2020)"

    def __init__(self, task: Task, seed: int, *, start: int = 10, patience: int = 60, kick: int = 4) -> None:
        super().__init__(task, seed)
        for name, value in (("start", start), ("patience", patience), ("kick", kick)):
            if value < 1:
                raise InputError(f"controller.{name}: expected at least 1, got {value}")
        self.start, self.patience, self.kick = start, patience, kick
        self._here: Point | None = None
        self._best: Point | None = None
        self._random_left = start
        self._without_gain = 0
        self._climbs = self._looked = 0

    def prepare(self, count: int) -> None:  # noqa: ARG002 (one by one)
        """Forget how often neighbours were looked for."""
        self._looked = 0

    def propose(self) -> Architecture | None:
        """Return a random network at the beginning of a climb, else a neighbour of where it stands."""
        if self._random_left > 0 or self._here is None:
            return self.domain.sample(self.generator)
        self._looked += 1
        if self._looked > LOOKED:  # nothing new is left around here
            self._looked = 0
            self._begin_anew()
        here = self._here[0] if self._here else None
        if here is None:
            return self.domain.sample(self.generator)
        return mutated_inside(self.domain, self.generator, list(here.genes), here, repairs=3)

    def learn(self, trial: Trial) -> None:
        """Move to a better network; end the climb where too many were no better. Failures count as no better."""
        began, self._random_left = self._random_left > 0, max(self._random_left - 1, 0)
        point = None if trial.reward is None else (trial.architecture, trial.reward)
        if point and (self._best is None or point[1] > self._best[1]):
            self._best = point
        if point and (self._here is None or point[1] > self._here[1]):
            self._here, self._without_gain = point, 0
        elif not began:
            self._without_gain += 1
        if self._without_gain >= self.patience:
            self._begin_anew()

    def own_state(self) -> State:
        """Return where the climb stands."""
        points = {"here": self._here, "best": self._best}
        return {
            **{name: None if point is None else _plain(point) for name, point in points.items()},
            "random_left": self._random_left,
            "without_gain": self._without_gain,
            "climbs": self._climbs,
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore where the climb stands."""
        self._here, self._best = (
            None if state[name] is None else (self.architecture(state[name][0]), _reward(state[name][1]))
            for name in ("here", "best")
        )
        self._random_left, self._without_gain = int(state["random_left"]), int(state["without_gain"])
        self._climbs = int(state["climbs"])

    def _begin_anew(self) -> None:
        self._without_gain, self._climbs = 0, self._climbs + 1
        kicked = self._kicked() if self._climbs % 2 and self._best else None
        if kicked is None:
            self._here, self._random_left = None, self.start
        else:
            self._here = (kicked, float("-inf"))

    def _kicked(self) -> Architecture | None:
        """Return the best network with some genes changed, still inside."""
        assert self._best is not None
        sizes, best = self.domain.space.gene_sizes, self._best[0]
        if not (mutable := mutable_genes(sizes)):
            return None
        for _ in range(self.attempts):
            genes = list(best.genes)
            for _ in range(self.kick - 1):
                mutate(self.generator, genes, sizes, mutable)
            if child := mutated_inside(self.domain, self.generator, genes, best, repairs=3):
                return child
        return None


def _plain(point: Point) -> list[Any]:
    """Return a point as JSON values; a kicked one has no reward yet."""
    return [list(point[0].genes), None if point[1] == float("-inf") else point[1]]


def _reward(value: float | None) -> float:
    return float("-inf") if value is None else float(value)
