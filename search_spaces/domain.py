"""The part of a space that may be proposed: every genotype, or those that keep to a budget."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces import space as spaces
from nas.search_spaces.space import SearchSpace

ENUMERABLE = 50_000
REASONS_LOGGED = 20
_log = logging.getLogger(__name__)

Genes = NDArray[np.int64]  # (architectures, tokens)
Columns = dict[str, NDArray[Any]]  # a metric's values by its name, (architectures,) each


class Domain:
    """Every genotype of a space that decodes to a network; budgets narrow it in subclasses.

    Args:
        space: the search space.
        examine: raises ``InputError`` for architectures that cannot be used, for instance because their cost cannot
            be counted; they are left out.

    Attributes:
        affordable: about how many genotypes ``inside`` and ``costs`` take in a fraction of a second.
        sparse: whether it is a list with so many gaps that a change of a genotype hardly ever leads to another.
    """

    affordable = 20_000
    sparse = False

    def __init__(self, space: SearchSpace, examine: Callable[[Architecture], object] | None = None) -> None:
        self.space, self._examine = space, examine
        self._left_out: set[str] = set()
        self._listing: Genes | None = None

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

    def sample_genes(self, generator: np.random.Generator, count: int) -> Genes | None:
        """Draw up to ``count`` genotypes at once, ``(n, tokens)``; ``None`` if bounded tries met none.

        They are ``inside``; ``admits`` has the last word.
        """
        return generator.integers(0, np.asarray(self.space.gene_sizes), size=(count, len(self.space.gene_sizes)))

    def inside(self, genes: Genes) -> NDArray[np.bool_]:
        """Say for many genotypes at once whether their costs keep to the budget, ``(n,)``; there is none here."""
        return np.ones(len(genes), dtype=bool)

    def costs(self, genes: Genes) -> Columns:  # noqa: ARG002 (nothing is known here)
        """Return what is known of genotypes before anything is trained, by metric, ``(n,)`` each."""
        return {}

    @property
    def listable(self) -> int | None:
        """How many genotypes have to be gone through to list the domain; ``None`` where that takes too long."""
        count = spaces.size(self.space)
        return count if count <= ENUMERABLE else None

    def listing(self) -> Genes | None:
        """Return every genotype inside, ``(n, tokens)``, where they can be listed, else ``None``.

        ``admits`` has the last word.
        """
        if self._listing is None and (members := self.members()) is not None:
            listed = np.array([member.genes for member in members], dtype=np.int64)
            self._listing = listed.reshape(-1, len(self.space.gene_sizes))
        return self._listing

    def members(self) -> Iterator[Architecture] | None:
        """Yield every architecture inside where they can be listed, else return ``None``."""
        if self.listable is None:
            return None
        return (architecture for architecture in spaces.enumerate_space(self.space) if self.admits(architecture))

    def key(self, architecture: Architecture) -> Hashable:
        """Return a key equal for architectures that decode to the same network."""
        return spaces.network_key(self.space, architecture)
