"""Random search: uniform draws from the domain."""

from __future__ import annotations

from nas.controllers.controller import Controller
from nas.controllers.task import Task
from nas.core.records import Architecture


class RandomSearch(Controller):
    """Uniform over the genotypes of the domain, each network once."""

    name = "random"
    summary = "uniform draws from the space inside the band"
    learns = False

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._drawn: list[list[int]] = []

    def prepare(self, count: int) -> None:
        """Draw many at once, which is cheaper."""
        drawn = self.domain.sample_genes(self.generator, count) if count > 1 else None
        self._drawn = [] if drawn is None else drawn.tolist()

    def propose(self) -> Architecture | None:
        """Return one of those that were drawn, or another."""
        return self.architecture(self._drawn.pop()) if self._drawn else self.domain.sample(self.generator)
