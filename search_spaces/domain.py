"""The domain of a search: the genotypes of a space that may be proposed, all of them or those inside a budget."""

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
_REASONS_LOGGED = 20
_log = logging.getLogger(__name__)

Genes = NDArray[np.int64]  # (architectures, genes): the option of each gene
Columns = dict[str, NDArray[Any]]  # a metric's values by its name, (architectures,) each


class Domain:
    """All genotypes of a space that decode to a network; subclasses restrict them to a budget.

    Args:
        space: the search space.
        examine: function that raises ``InputError`` for architectures that cannot be used, for instance because their
            cost cannot be counted. The domain leaves them out.

    Attributes:
        affordable: approximate number of genotypes that ``inside`` and ``costs`` process in a fraction of a second.
        sparse: whether the domain lists only a small part of the space, so that mutants of members are rarely members.
    """

    affordable = 20_000
    sparse = False

    def __init__(self, space: SearchSpace, examine: Callable[[Architecture], object] | None = None) -> None:
        self.space, self._examine = space, examine
        self._left_out: set[str] = set()
        self._listing: Genes | None = None

    def admits(self, architecture: Architecture) -> bool:
        """Return whether an architecture may be proposed. The first 20 different reasons for rejections are logged."""
        try:
            spaces.decode(self.space, architecture)
            if self._examine is not None:
                self._examine(architecture)
        except InputError as error:
            if str(error) not in self._left_out and len(self._left_out) < _REASONS_LOGGED:
                self._left_out.add(str(error))
                _log.info("genes %s are left out: %s", architecture.genes, error)
            return False
        return True

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Draw an admitted architecture, uniformly over genotypes; ``None`` if 1,000 tries found none."""
        for _ in range(1000):
            architecture = spaces.sample(self.space, generator)
            if self.admits(architecture):
                return architecture
        return None

    def sample_genes(self, generator: np.random.Generator, count: int) -> Genes | None:
        """Draw up to ``count`` genotypes at once, ``(n, genes)``; ``None`` if a limited number of tries found none.

        All of them are ``inside``, but ``admits`` may still reject some.
        """
        return generator.integers(0, np.asarray(self.space.gene_sizes), size=(count, len(self.space.gene_sizes)))

    def inside(self, genes: Genes) -> NDArray[np.bool_]:
        """Return for each genotype whether its costs are inside the budget, ``(n,)``. This base class has no budget."""
        return np.ones(len(genes), dtype=bool)

    def costs(self, genes: Genes) -> Columns:  # noqa: ARG002 (nothing is known here)
        """Return the metrics that are known before training, by name, ``(n,)`` each."""
        return {}

    @property
    def listable(self) -> int | None:
        """Number of genotypes to enumerate for a list of the domain; ``None`` if that takes too long."""
        count = spaces.size(self.space)
        return count if count <= ENUMERABLE else None

    def listing(self) -> Genes | None:
        """Return all genotypes of the domain, ``(n, genes)``, or ``None`` if they cannot be listed.

        ``admits`` may still reject some of them.
        """
        if self._listing is None and (members := self.members()) is not None:
            listed = np.array([member.genes for member in members], dtype=np.int64)
            self._listing = listed.reshape(-1, len(self.space.gene_sizes))
        return self._listing

    def members(self) -> Iterator[Architecture] | None:
        """Return an iterator over all architectures of the domain, or ``None`` if they cannot be listed."""
        if self.listable is None:
            return None
        return (architecture for architecture in spaces.enumerate_space(self.space) if self.admits(architecture))

    def key(self, architecture: Architecture) -> Hashable:
        """Return a key that is equal for architectures that decode to the same network."""
        return spaces.network_key(self.space, architecture)
