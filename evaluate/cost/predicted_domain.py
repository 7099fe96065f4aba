"""A stage-table space inside limits on exact costs and on predicted costs, such as latency.

The table's sampler draws genotypes inside the exact limits. A draw is kept if its predicted costs are inside their
limits too, so draws stay uniform. If hardly any draw is inside, random walks go from the nearest draws towards the
limits, one gene at a time. New draws are then the ends of further random walks inside the limits, which start from the
genotypes that the first walks reached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.core.records import Architecture
from nas.evaluate.cost.domain import Examine, LimitedDomain
from nas.evaluate.cost.exact import COST_METRICS
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.table import CostTable, Ints
from nas.evaluate.cost.table_sampler import TableSampler
from nas.evaluate.cost.why_empty import explain_empty, out_of_reach
from nas.evaluate.objective.limits import Limits
from nas.search_spaces.space import SearchSpace

Distances = NDArray[np.float64]
PROBES, LARGEST_BATCH = 4096, 4096
_SCARCE = 2e-3  # below this share of draws inside, random walks replace rejection
WALKERS, STEPS, WANDERING = 256, 150, 20


class PredictedDomain(LimitedDomain):
    """Architectures inside exact and predicted limits.

    Attributes:
        acceptance: share of the draws inside the exact limits that are inside the predicted limits too.
        uniform: whether draws are uniform.

    Raises:
        InputError: if no network was found inside. The message names the limit and the values that were found.
    """

    def __init__(
        self,
        space: SearchSpace,
        costs: KnownCosts,
        table: CostTable,
        limits: Limits,
        examine: Examine | None = None,
    ) -> None:
        super().__init__(space, costs, limits, examine)
        self._exact = limits.among(COST_METRICS)
        self._predicted = Limits(tuple(limit for limit in limits if limit.metric not in COST_METRICS))
        self._sampler = TableSampler(table, self._exact)
        if self._sampler.empty:
            raise explain_empty(table, self._exact)
        generator = np.random.default_rng(0)
        drawn, distances = self._draw(generator, PROBES)
        self.acceptance = float((distances == 0).mean())
        self.uniform = self.acceptance >= _SCARCE
        self._arrived = drawn[distances == 0]
        if not self.uniform:
            walked, left = self._walk(generator, drawn, distances)
            self._arrived = walked[left == 0]
        if not len(self._arrived):
            seen = self._reached(np.concatenate([drawn, walked]))
            raise out_of_reach(space.name, self._predicted, seen, proved=False)

    def sample(self, generator: np.random.Generator) -> Architecture | None:
        """Draw an architecture inside the limits, uniformly unless the limits are very tight."""
        genes = self.sample_genes(generator, 1)
        return None if genes is None else Architecture(self.space.name, tuple(genes[0].tolist()))

    def sample_genes(self, generator: np.random.Generator, count: int) -> Ints | None:
        """Draw ``count`` genotypes at once, ``(count, genes)``; ``None`` if bounded tries found fewer."""
        if not self.uniform:
            return self._wander(generator, count)
        kept: list[Ints] = []
        missing, tries = count, int(20 * count / self.acceptance) + PROBES
        while missing and tries > 0:
            batch = min(int(1.5 * missing / self.acceptance) + 4, LARGEST_BATCH)
            drawn, distances = self._draw(generator, batch)
            kept.append(drawn[distances == 0][:missing])
            missing, tries = missing - len(kept[-1]), tries - batch
        return None if missing else np.concatenate(kept)

    def _draw(self, generator: np.random.Generator, count: int) -> tuple[Ints, Distances]:
        """Draw genotypes inside the exact limits; return them and their distances to the limits."""
        genes = self._sampler.sample(generator, count)
        if genes is None:
            genes = np.empty((0, len(self.space.gene_sizes)), dtype=np.int64)
        return genes, self._distances(genes)

    def _distances(self, genes: Ints) -> Distances:
        return self.limits.violations(self.costs(genes))

    def _changed(self, generator: np.random.Generator, genes: Ints) -> Ints:
        """Change one gene of each genotype."""
        sizes, changed = np.asarray(self.space.gene_sizes), genes.copy()
        tokens = generator.integers(len(sizes), size=len(genes))
        changed[np.arange(len(genes)), tokens] = generator.integers(sizes[tokens])
        return changed

    def _walk(self, generator: np.random.Generator, genes: Ints, distances: Distances) -> tuple[Ints, Distances]:
        """Walk from the nearest genotypes, without increasing a distance; return the final genotypes and distances."""
        nearest = np.argsort(distances, kind="stable")[:WALKERS]
        here, distances = genes[nearest].copy(), distances[nearest]
        for _ in range(STEPS):
            there = self._changed(generator, here)
            further = self._distances(there)
            closer = further <= distances
            here[closer], distances[closer] = there[closer], further[closer]
        return here, distances

    def _wander(self, generator: np.random.Generator, count: int) -> Ints:
        """Walk at random from known genotypes inside the limits; changes that leave the limits are rejected."""
        here: Ints = self._arrived[generator.integers(len(self._arrived), size=count)]
        for _ in range(WANDERING):
            there = self._changed(generator, here)
            inside = self._distances(there) == 0
            here[inside] = there[inside]
        return here

    def _reached(self, genes: Ints) -> list[tuple[float, ...]]:
        """Return the predicted costs of the genotypes inside the exact limits, one row each."""
        columns = self.costs(genes)
        kept = self._exact.violations(columns) == 0 if self._exact else np.ones(len(genes), dtype=bool)
        return list(zip(*(columns[limit.metric][kept].tolist() for limit in self._predicted), strict=True))
