"""The budget as a band: only architectures with ``(1 - tolerance) * T <= MACs <= T`` are proposed and trained.

With the papers' soft reward, alpha = beta, the factor ``T ** -w`` is a constant and the best network would be the
same for every T. So the target is also a budget, enforced by exact cost before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nas.evaluate.band_sampler import BandSampler
from nas.evaluate.cost_table import CostTable
from nas.evaluate.known_costs import KnownCosts
from nas.evaluate.quantity import format_quantity
from nas.search_spaces import space as spaces
from nas.search_spaces.domain import ENUMERABLE, Domain
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table_space import StageTableSpace


@dataclass(frozen=True, slots=True)
class Band:
    """Admitted MACs, both ends included."""

    low: int
    high: int

    @classmethod
    def below(cls, target: float, tolerance: float) -> Band:
        """``[(1 - tolerance) * target, target]`` in whole MACs."""
        return cls(int(np.ceil((1 - tolerance) * target - 1e-6)), int(np.floor(target)))

    def admits(self, metrics: Mapping[str, float]) -> bool:
        """Say whether a network of these metrics keeps to the budget."""
        return self.low <= metrics["macs"] <= self.high


def banded_domain(
    space: SearchSpace, costs: KnownCosts, band: Band, examine: Callable[[Architecture], object] | None = None
) -> Domain:
    """Return the domain of ``space`` inside ``band``.

    Raises:
        InputError: if nothing of the space is inside, with the space's smallest and largest MACs and the nearest
            reachable ones.
    """
    if isinstance(space, StageTableSpace):
        return TableBandDomain(space, costs, band, examine)
    return SearchedBandDomain(space, costs, band, examine)


class BandDomain(Domain):
    """What both kinds of banded domain share: the gate by exact cost."""

    def __init__(
        self,
        space: SearchSpace,
        costs: KnownCosts,
        band: Band,
        examine: Callable[[Architecture], object] | None = None,
    ) -> None:
        super().__init__(space, examine)
        self.costs, self.band = costs, band

    def admits(self, architecture: Architecture) -> bool:
        """Say whether the architecture's exact MACs are inside the band."""
        try:
            inside = self.band.admits(self.costs(architecture))
        except InputError:
            return False
        return inside and super().admits(architecture)

    def _empty(self, low: int, high: int, nearest: int, proved: bool) -> InputError:
        name, band = self.space.name, self.band
        none = f"space '{name}' holds no network" if proved else f"no network of space '{name}' was found"
        return InputError(
            f"target_flops: {none} with {format_quantity(band.low)} to {format_quantity(band.high)} MACs. Its networks "
            f"have {low:,} ({format_quantity(low)}) to {high:,} ({format_quantity(high)}) MACs; the nearest to the "
            f"target{'' if proved else ' that was found'} has {nearest:,}. Choose a --target-flops in that range, "
            "widen --tolerance, or use another --space"
        )


class TableBandDomain(BandDomain):
    """A stage-table space inside a band, sampled uniformly through its compiled cost table."""

    def __init__(
        self,
        space: StageTableSpace,
        costs: KnownCosts,
        band: Band,
        examine: Callable[[Architecture], object] | None = None,
    ) -> None:
        super().__init__(space, costs, band, examine)
        self.table = CostTable(space)
        self._sampler = BandSampler(self.table, band.low, band.high)
        if self._sampler.empty:
            low, high = self.table.macs_range()
            raise self._empty(low, high, self._nearest(low, high), self._sampler.proved)

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Draw uniformly over the genotypes inside the band."""
        genes = self._sampler.sample(generator)
        return None if genes is None else self._architecture(genes)

    def members(self) -> Iterator[Architecture] | None:
        """Yield every architecture of the band where they are few enough to list."""
        listed = self._sampler.listed
        return None if listed is None else (self._architecture(genes) for genes in listed)

    def _architecture(self, genes: np.ndarray) -> Architecture:
        return Architecture(self.space.name, tuple(genes.tolist()))

    def _nearest(self, low: int, high: int) -> int:
        target = self.band.high
        if low < target < high:
            return BandSampler(self.table, 0, high).nearest(target)
        return low if target <= low else high


class SearchedBandDomain(BandDomain):
    """Any other space inside a band: listed where small, else reached by bounded random walks towards the band."""

    def __init__(
        self,
        space: SearchSpace,
        costs: KnownCosts,
        band: Band,
        examine: Callable[[Architecture], object] | None = None,
    ) -> None:
        super().__init__(space, costs, band, examine)
        # Counting a module takes about 50 ms, arithmetic less than 0.1.
        listable, self.walks, self.steps = (500, 8, 50) if costs.builds_modules else (ENUMERABLE, 200, 200)
        self._seen: set[int] = set()
        self._listed: list[Architecture] | None = None
        if spaces.size(space) <= listable:
            self._listed = [candidate for candidate in spaces.enumerate_space(space) if self._distance(candidate) == 0]
        if not self._listed and (self._listed is not None or self.sample(np.random.default_rng(0)) is None):
            if not self._seen:
                costs(Architecture(space.name, (0,) * len(space.gene_sizes)))  # says what is wrong with it
                raise InputError(f"target_flops: no network of space '{space.name}' could be counted")
            nearest = min(self._seen, key=lambda macs: abs(macs - band.high))
            raise self._empty(min(self._seen), max(self._seen), nearest, proved=self._listed is not None)

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Walk from random genotypes towards the band, one gene at a time."""
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

    def members(self) -> Iterator[Architecture] | None:
        """Yield every architecture of the band where the space is small enough to list."""
        return None if self._listed is None else iter(self._listed)

    def _distance(self, architecture: Architecture) -> float:
        try:
            macs = self.costs(architecture)["macs"]
        except InputError:
            return float("inf")
        self._seen.add(int(macs))
        return max(self.band.low - macs, macs - self.band.high, 0)
