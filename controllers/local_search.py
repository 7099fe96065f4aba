"""Local search: try the neighbours of the best network, move as soon as one is better (White et al., 2005.02960).

A neighbour differs in one gene; if that leaves the budget, further genes are changed, as few as needed to return to it.
After ``patience`` neighbours without an improvement the search restarts. Restarts alternate between the best network so
far with ``kick`` genes changed (iterated local search), because optima of these spaces lie close together, and the best
of ``start`` random networks. A climb counts only its own proposals; trials of an earlier climb that finish late are not
steps of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.controllers.controller import Controller, State
from nas.controllers.task import Task
from nas.controllers.variation import mutable_genes, mutate, mutated_inside
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial

Point = tuple[Architecture, float]
Origin = tuple[int, bool]  # the climb of a proposal, and whether the proposal is one of its random starts
_START = 10
_LOWEST = float("-inf")
LOOKED = 40  # neighbours drawn for one proposal, all known or outside the domain, before a restart


class LocalSearch(Controller):
    """First-improvement hill climbing with restarts.

    Args:
        task: the domain of architectures and the reward function.
        seed: seed of the controller's random generator.
        start: number of random networks; a climb begins at the best of them.
        patience: number of neighbours without an improvement after which a climb ends.
        kick: number of genes of the best network that are changed for a restart.
    """

    name = "local"
    summary = "local search: neighbours of the best network, first improvement, restarts (White et al. 2020)"

    def __init__(self, task: Task, seed: int, *, start: int = _START, patience: int = 60, kick: int = 4) -> None:
        super().__init__(task, seed)
        for name, value in (("start", start), ("patience", patience), ("kick", kick)):
            if value < 1:
                raise InputError(f"controller.{name}: expected at least 1, got {value}")
        self.start, self.patience, self.kick = start, patience, kick
        self._here: Point | None = None
        self._best: Point | None = None
        self._begun = 0  # random networks of this climb that have ended
        self._without_gain = 0
        self._climb = self._looked = 0
        self._origins: dict[Architecture, Origin] = {}
        self._last: Architecture | None = None

    @classmethod
    def fitted(cls, trials: int, given: Mapping[str, Any]) -> State:  # noqa: ARG003 (depends on nothing else)
        """Return 10 for ``start``, but at most a quarter of the trials."""
        return {"start": max(min(trials // 4, _START), 1)}

    def prepare(self, count: int) -> None:  # noqa: ARG002 (one by one)
        """Forget candidates that were not accepted, and reset the count of drawn neighbours."""
        self._origins = {one: origin for one, origin in self._origins.items() if one in self.pending}
        self._last, self._looked = None, 0

    def propose(self) -> Architecture | None:
        """Return a random network at the start of a climb, otherwise a neighbour of the current network."""
        if self._last in self.pending:
            self._looked = 0
        if self._looked >= LOOKED:  # no new neighbour is left
            self._looked = 0
            self._begin_anew()
        here = None if self._begun + self._beginnings() < self.start or self._here is None else self._here[0]
        if here is None:
            candidate = self.domain.sample(self.generator)
        else:
            self._looked += 1
            candidate = mutated_inside(self.domain, self.generator, list(here.genes), here, repairs=3)
        self._last = candidate
        if candidate is not None:
            self._origins.setdefault(candidate, (self._climb, here is None))
        return candidate

    def learn(self, trial: Trial) -> None:
        """Move to a better network; end the climb after ``patience`` trials without one, failures included."""
        climb, random = self._origins.pop(trial.architecture, (None, False))
        point = None if trial.reward is None else (trial.architecture, trial.reward)
        if point and (self._best is None or point[1] > self._best[1]):
            self._best = point
        if climb not in (self._climb, None):
            return
        self._begun += random or climb is None  # a trial of an earlier run counts as a start, too
        if point and (self._here is None or point[1] > self._here[1]):
            self._here, self._without_gain = point, 0
        elif climb is not None and not random:
            self._without_gain += 1
        if self._without_gain >= self.patience:
            self._begin_anew()

    def own_state(self) -> State:
        """Return the state of the climb."""
        points = {"here": self._here, "best": self._best}
        return {
            **{name: None if point is None else _plain(point) for name, point in points.items()},
            "begun": self._begun,
            "without_gain": self._without_gain,
            "climb": self._climb,
            "origins": [[list(one.genes), *origin] for one, origin in self._origins.items() if one in self.pending],
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the climb."""
        self._here, self._best = (
            None if state[name] is None else (self.restored(state[name][0]), _reward(state[name][1]))
            for name in ("here", "best")
        )
        self._begun, self._without_gain = int(state["begun"]), int(state["without_gain"])
        self._climb = int(state["climb"])
        self._origins = {self.restored(genes): (int(climb), bool(random)) for genes, climb, random in state["origins"]}

    def _beginnings(self) -> int:
        """Return how many random networks of this climb are running."""
        mine = (self._climb, True)
        return sum(origin == mine and one in self.pending for one, origin in self._origins.items())

    def _begin_anew(self) -> None:
        self._without_gain, self._climb = 0, self._climb + 1
        kicked = self._kicked() if self._climb % 2 and self._best else None
        self._here, self._begun = (None, 0) if kicked is None else ((kicked, _LOWEST), self.start)

    def _kicked(self) -> Architecture | None:
        """Return the best network with some genes changed, inside the domain; ``None`` if none was found."""
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
    """Return a point as JSON values; the network of a restart from the best has no reward yet."""
    return [list(point[0].genes), None if point[1] == _LOWEST else point[1]]


def _reward(value: float | None) -> float:
    return _LOWEST if value is None else float(value)
