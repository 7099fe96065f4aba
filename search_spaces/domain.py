"""The part of a space that may be proposed: every genotype, or those that keep to a budget."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np

from nas.search_spaces import space as spaces
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture
from nas.search_spaces.space import SearchSpace

ENUMERABLE = 50_000


class Domain:
    """Every genotype of a space that decodes to a network; budgets narrow it in subclasses.

    Args:
        space: the search space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def admits(self, architecture: Architecture) -> bool:
        """Say whether this architecture may be proposed."""
        return self._decodes(architecture)

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

    def _decodes(self, architecture: Architecture) -> bool:
        try:
            spaces.decode(self.space, architecture)
        except InputError:
            return False
        return True
