"""Random search: uniform draws from the domain."""

from __future__ import annotations

from nas.controllers.controller import Controller
from nas.controllers.task import Task
from nas.core.records import Architecture


class RandomSearch(Controller):
    """Draws genotypes uniformly from the domain and proposes each network once."""

    name = "random"
    summary = "uniform random sampling of the space within the budget"
    learns = False

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._drawn: list[list[int]] = []

    def prepare(self, count: int) -> None:
        """Draw ``count`` genotypes at once, which is cheaper than one by one."""
        drawn = self.domain.sample_genes(self.generator, count) if count > 1 else None
        self._drawn = [] if drawn is None else drawn.tolist()

    def propose(self) -> Architecture | None:
        """Return one of the prepared genotypes, or a new random draw if none is left."""
        return self.architecture(self._drawn.pop()) if self._drawn else self.domain.sample(self.generator)
