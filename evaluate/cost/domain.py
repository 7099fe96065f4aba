"""Domains: the part of a search space that is inside a budget, for every kind of space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.table import CostTable
from nas.evaluate.cost.table_sampler import TableSampler
from nas.evaluate.cost.why_empty import explain_empty, out_of_reach
from nas.evaluate.objective.limits import Limits
from nas.search_spaces import space as spaces
from nas.search_spaces.domain import ENUMERABLE, Columns, Domain, Genes
from nas.search_spaces.space import SearchSpace

Examine = Callable[[Architecture], object]
_LISTABLE_MODULES = 500  # counting one module takes about 50 ms
_SPARSE = 0.5  # a list that holds a smaller share of its space is sparse


class LimitedDomain(Domain):
    """Base class of domains inside limits. Without any limit, it holds the genotypes whose cost can be counted."""

    def __init__(self, space: SearchSpace, known: KnownCosts, limits: Limits, examine: Examine | None = None) -> None:
        super().__init__(space, examine)
        self.known, self.limits = known, limits
        self.affordable = known.affordable

    @property
    def listable(self) -> int | None:
        """Number of genotypes to check in order to list the domain; ``None`` if that takes too long."""
        count = super().listable
        return None if self.known.builds_modules and (count or _LISTABLE_MODULES) >= _LISTABLE_MODULES else count

    def admits(self, architecture: Architecture) -> bool:
        """Return whether the architecture's known costs are inside the limits."""
        try:
            metrics = self.known(architecture)
        except InputError:
            return False
        counted = all(limit.metric in metrics for limit in self.limits)
        return counted and self.limits.admits(metrics) and super().admits(architecture)

    def inside(self, genes: Genes) -> NDArray[np.bool_]:
        """Return for each genotype whether its costs are inside the limits, ``(n,)``."""
        if self.known.builds_modules and not self.limits:
            return super().inside(genes)
        columns = self.costs(genes)
        counted = np.ones(len(genes), dtype=bool)
        for name, values in columns.items():
            counted &= np.isfinite(values) & ((values > 0) | (name not in ("macs", "params")))
        if any(limit.metric not in columns for limit in self.limits):
            return np.zeros(len(genes), dtype=bool)
        return counted & (self.limits.violations(columns) == 0) if self.limits else counted

    def costs(self, genes: Genes) -> Columns:
        """Return the costs that are known before the genotypes are trained, by metric, ``(n,)`` each."""
        return self.known.columns(genes)

    def sample_genes(self, generator: np.random.Generator, count: int) -> Genes | None:
        """Draw up to ``count`` genotypes inside the limits by rejection, ``(n, genes)``; ``None`` if none is found."""
        drawn = super().sample_genes(generator, min(4 * count, self.affordable) if self.limits else count)
        assert drawn is not None
        kept: Genes = drawn[self.inside(drawn)][:count]
        if len(kept):
            return kept
        one = self.sample(generator)
        return None if one is None else np.array([one.genes], dtype=np.int64)


class TableDomain(LimitedDomain):
    """A stage-table space inside limits, sampled uniformly through its compiled cost table."""

    def __init__(
        self,
        space: SearchSpace,
        costs: KnownCosts,
        table: CostTable,
        limits: Limits,
        examine: Examine | None = None,
    ) -> None:
        super().__init__(space, costs, limits, examine)
        self._sampler = TableSampler(table, limits)
        if self._sampler.empty:
            raise explain_empty(table, limits)

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Draw uniformly over the genotypes inside the limits."""
        genes = self._sampler.sample(generator)
        return None if genes is None else self._architecture(genes[0])

    def sample_genes(self, generator: np.random.Generator, count: int) -> Genes | None:
        """Draw ``count`` genotypes at once, ``(count, genes)``."""
        return self._sampler.sample(generator, count)

    @property
    def listable(self) -> int | None:
        """Number of architectures inside the limits; ``None`` if there are too many to list."""
        return None if self._sampler.listed is None else len(self._sampler.listed)

    def members(self) -> Iterator[Architecture] | None:
        """Return an iterator over the architectures inside the limits; ``None`` if there are too many to list."""
        listed = self._sampler.listed
        return None if listed is None else (self._architecture(genes) for genes in listed)

    def _architecture(self, genes: Genes) -> Architecture:
        return Architecture(self.space.name, tuple(genes.tolist()))


class ListedDomain(LimitedDomain):
    """The architectures of a list, such as the rows of a table, that are inside the limits.

    Args:
        space: the search space.
        costs: known costs of each architecture.
        limits: the budget; it may be empty.
        listed: the architectures.
        what: name of the list in messages.
    """

    def __init__(
        self, space: SearchSpace, costs: KnownCosts, limits: Limits, listed: Iterable[Architecture], what: str
    ) -> None:
        super().__init__(space, costs, limits)
        known = [candidate for candidate in listed if Domain.admits(self, candidate)]
        self._inside = [candidate for candidate in known if limits.admits(costs(candidate))]
        self._places = {candidate.genes: place for place, candidate in enumerate(self._inside)}
        self._columns: Columns | None = None
        self.affordable = Domain.affordable  # costs are looked up, so the default applies
        self.sparse = len(self._inside) < _SPARSE * spaces.size(space)
        if not self._inside and known:
            seen = {tuple(costs(candidate)[limit.metric] for limit in limits) for candidate in known}
            raise out_of_reach(f"{space.name} ({what})", limits, seen, proved=True)
        if not self._inside:
            raise InputError(f"{what} holds no network of space '{space.name}'")

    def admits(self, architecture: Architecture) -> bool:
        """Return whether the architecture is in the list and inside the limits."""
        return architecture.genes in self._places

    def inside(self, genes: Genes) -> NDArray[np.bool_]:
        """Return for each genotype whether it is in the list and inside the limits, ``(n,)``."""
        return np.array([tuple(row) in self._places for row in genes.tolist()], dtype=bool)

    def costs(self, genes: Genes) -> Columns:
        """Return the known costs of genotypes by metric, ``(n,)`` each; costs of listed genotypes are computed once."""
        places = [self._places.get(tuple(row), -1) for row in genes.tolist()]
        if -1 in places:
            return super().costs(genes)
        if self._columns is None:
            listing = self.listing()
            assert listing is not None
            self._columns = super().costs(listing)
        return {name: column[places] for name, column in self._columns.items()}

    def sample_genes(self, generator: np.random.Generator, count: int) -> Genes | None:
        """Draw ``count`` listed genotypes uniformly, ``(count, genes)``."""
        listing = self.listing()
        assert listing is not None
        return listing[generator.integers(len(listing), size=count)]

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Draw one listed architecture uniformly."""
        return self._inside[generator.integers(len(self._inside))]

    @property
    def listable(self) -> int | None:
        """Number of listed architectures inside the limits."""
        return len(self._inside)

    def members(self) -> Iterator[Architecture] | None:
        """Return an iterator over the listed architectures inside the limits."""
        return iter(self._inside)


class SearchedDomain(LimitedDomain):
    """Any other space inside limits: listed if it is small, else reached by bounded random walks towards the limits."""

    def __init__(self, space: SearchSpace, costs: KnownCosts, limits: Limits, examine: Examine | None = None) -> None:
        super().__init__(space, costs, limits, examine)
        # Counting a module takes about 50 ms, arithmetic on a stage table less than 0.1 ms.
        listable, self.walks, self.steps = (
            (_LISTABLE_MODULES, 8, 50) if costs.builds_modules else (ENUMERABLE, 200, 200)
        )
        self._seen: set[tuple[float, ...]] = set()
        self._listed: list[Architecture] | None = None
        if spaces.size(space) <= listable:
            self._listed = [candidate for candidate in spaces.enumerate_space(space) if self._distance(candidate) == 0]
        if not self._listed and (self._listed is not None or self.sample(np.random.default_rng(0)) is None):
            if not self._seen:
                costs(Architecture(space.name, (0,) * len(space.gene_sizes)))  # raises with the reason
                raise InputError(f"{limits.items[0].flag}: could not count the costs of any network of '{space.name}'")
            if self._listed is None and not costs.builds_modules:
                self._look_at_both_ends()
            raise out_of_reach(space.name, limits, self._seen, proved=self._listed is not None)

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Draw from the list, or walk from random genotypes towards the limits, one gene at a time."""
        if self._listed is not None:
            return self._listed[generator.integers(len(self._listed))] if self._listed else None
        for _ in range(self.walks):
            here = spaces.sample(self.space, generator)
            distance = self._distance(here)
            for _ in range(self.steps):
                if distance == 0:
                    return here
                genes = list(here.genes)
                gene = int(generator.integers(len(genes)))
                genes[gene] = int(generator.integers(self.space.gene_sizes[gene]))
                there = Architecture(self.space.name, tuple(genes))
                if (closer := self._distance(there)) <= distance:
                    here, distance = there, closer
        return None

    def _look_at_both_ends(self) -> None:
        """Search for the smallest and largest value of each limited cost, gene by gene, for the error message."""
        for limit in self.limits:
            for sign in (1, -1):
                best: tuple[float, tuple[int, ...]] | None = None
                for gene, options in enumerate(self.space.gene_sizes):
                    genes = best[1] if best else (0,) * len(self.space.gene_sizes)
                    for option in range(options):
                        changed = (*genes[:gene], option, *genes[gene + 1 :])
                        self._distance(architecture := Architecture(self.space.name, changed))
                        try:
                            value = sign * self.known(architecture)[limit.metric]
                        except (InputError, KeyError):
                            continue
                        best = min(best, (value, changed)) if best else (value, changed)

    @property
    def listable(self) -> int | None:
        """Number of architectures inside the limits; ``None`` if they are not listed."""
        return None if self._listed is None else len(self._listed)

    def members(self) -> Iterator[Architecture] | None:
        """Return an iterator over the architectures inside the limits; ``None`` if the space is too large to list."""
        return None if self._listed is None else iter(self._listed)

    def _distance(self, architecture: Architecture) -> float:
        try:
            metrics = self.known(architecture)
        except InputError:
            return float("inf")
        if any(limit.metric not in metrics for limit in self.limits):
            return float("inf")
        self._seen.add(tuple(metrics[limit.metric] for limit in self.limits))
        return self.limits.violation(metrics)
