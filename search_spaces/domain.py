"""The part of a space that may be proposed: every genotype, or those that keep to a budget."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator

import numpy as np

from nas.search_spaces import space as spaces
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture
from nas.search_spaces.space import SearchSpace

ENUMERABLE = 50_000
REASONS_LOGGED = 20
_log = logging.getLogger(__name__)


class Domain:
    """Every genotype of a space that decodes to a network; budgets narrow it in subclasses.

    Args:
        space: the search space.
        examine: raises ``InputError`` for architectures that cannot be used, for instance because their cost cannot
            be counted; they are left out.
    """

    def __init__(self, space: SearchSpace, examine: Callable[[Architecture], object] | None = None) -> None:
        self.space, self._examine = space, examine
        self._left_out: set[str] = set()

    def admits(self, architecture: Architecture) -> bool:
        """Say whether this architecture may be proposed; the reasons why not are logged, each once."""
        try:
            spaces.decode(self.space, architecture)
            if self._examine is not None:
                self._examine(architecture)
        except InputError as error:
            if str(error) not in self._left_out and len(self._left_out) < REASONS_LOGGED:
                self._left_out.add(str(error))
                _log.info("genes %s are left out: %s", architecture.genes, error)
            return False
        return True

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Draw an admitted architecture, uniformly over genotypes; ``None`` if none was found in bounded tries."""
        for _ in range(1000):
            architecture = spaces.sample(self.space, generator)
            if self.admits(architecture):
                return architecture
        return None

    def members(self) -> Iterator[Architecture] | None:
        """Yield every admitted architecture where they can be listed, else return ``None``."""
        if spaces.size(self.space) > ENUMERABLE:
            return None
        return (architecture for architecture in spaces.enumerate_space(self.space) if self.admits(architecture))

    def key(self, architecture: Architecture) -> Hashable:
        """Return a key equal for architectures that decode to the same network."""
        return spaces.network_key(self.space, architecture)
