"""Random search: uniform draws from the domain."""

from __future__ import annotations

from nas.controllers.controller import Controller
from nas.search_spaces.records import Architecture


class RandomSearch(Controller):
    """Uniform over the genotypes of the domain, each network once."""

    name = "random"
    summary = "uniform draws from the space inside the band"
    learns = False

    def propose(self) -> Architecture | None:
        """Draw one."""
        return self.domain.sample(self.generator)
