"""Uniform sampling of the genotypes inside a budget, through a space's cost table.

Paths through the table are counted by MACs if MACs are limited, else by params. A draw is kept if its exact costs are
inside the budget. Nearly all draws are kept: rounding errors are small, and finer buckets are used for a band that is
too narrow for the first ones. If params are limited as well as MACs and few draws are inside, paths are tilted towards
networks with few params, and a draw is kept with a probability that cancels its weight. Draws are still uniform, and
enough of them are kept. Options whose activations exceed their limit are excluded.

A budget is certain to be empty (``proved``) if there is no path, if no network has few enough params, or if all paths
can be listed and none is inside. If many draws were made and none was inside, the budget is assumed to be empty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.cost.exact import FLOAT_BYTES
from nas.evaluate.cost.pathways import Bounds, Pathways
from nas.evaluate.cost.table import CostTable, Ints
from nas.evaluate.objective.limits import Limits

_RESOLUTIONS = (2**13, 2**17, 2**20)
_TILTS = (3.0, 10.0, 30.0, 100.0, 300.0)
_LISTABLE = 5_000
PROBES, MANY_PROBES = 2_000, 40_000
_ENOUGH = 0.05  # smallest share of kept draws with which sampling is fast
_FINE = 0.5  # buckets are fine enough if this share of draws is inside the main cost's range
_MOST_CELLS = 2**27  # largest size of all counts together: 1 GiB


class TableSampler:
    """Uniform sampler of the genotypes inside a budget.

    Args:
        table: the space's compiled costs.
        limits: the budget.

    Attributes:
        listed: all genotypes inside, ``(n, genes)``, if they are few; else ``None``.
        acceptance: share of draws that are kept.
        empty: whether no genotype is inside.
        proved: whether ``empty`` is certain.
    """

    def __init__(self, table: CostTable, limits: Limits) -> None:
        self.table, self.limits = table, limits
        self.listed: Ints | None = None
        self.acceptance = 0.0
        self.bounds = _bounds(table, limits)
        self._pathways: Pathways | None = None
        self.proved = True
        least = table.range(self.bounds.main)[0]
        reachable = max(self.bounds.low, least) <= self.bounds.high and self.bounds.most_params >= 0
        self.empty = not (reachable and self._prepare())

    def sample(self, generator: np.random.Generator, count: int = 1) -> Ints | None:
        """Draw ``count`` genotypes inside the budget, ``(count, genes)``; ``None`` if bounded tries found fewer."""
        if self.empty:
            return None
        if self.listed is not None:
            return self.listed[generator.integers(len(self.listed), size=count)]
        assert self._pathways is not None
        kept: list[Ints] = []
        missing, tries = count, int(20 * count / self.acceptance) + 1_000
        while missing > 0 and tries > 0:
            batch = min(math.ceil(1.1 * missing / self.acceptance), 2**17)
            kept.append(self.draw_inside(self._pathways, generator, batch)[:missing])
            missing, tries = missing - len(kept[-1]), tries - batch
        return None if missing else np.concatenate(kept)

    @property
    def estimated_size(self) -> float:
        """Number of genotypes inside: exact if they are listed, else the number of paths times ``acceptance``.

        Raises:
            ValueError: if params are limited so tightly that draws are tilted.
        """
        if self.empty or self.listed is not None:
            return 0.0 if self.listed is None else float(len(self.listed))
        assert self._pathways is not None
        if self._pathways.tilt:
            raise ValueError("the size of a tilted budget is not estimated")
        return self._pathways.total * self.acceptance

    def nearest(self, target: int) -> int:
        """Return the exact main cost nearest to ``target`` among 100 networks drawn from the nearest buckets."""
        pathways = Pathways(self.table, self.bounds, _RESOLUTIONS[1])
        reached = np.flatnonzero(pathways.ways)
        close = reached[np.argsort(np.abs((reached + pathways.offset) * pathways.width - target))[:4]]
        genes = pathways.draw_from(np.random.default_rng(0), np.repeat(close, 25))
        costs = self.table.costs(genes)[self.bounds.main]
        return int(costs[np.abs(costs - target).argmin()])

    def draw_inside(self, pathways: Pathways, generator: np.random.Generator, count: int) -> Ints:
        """Draw ``count`` genotypes and return those inside the budget; all genotypes inside are equally likely."""
        genes = pathways.draw(generator, count)
        costs = self.table.costs(genes)
        inside = self._inside(costs)
        if pathways.tilt:
            most = self.bounds.most_params
            excess = pathways.tilt * (costs["params"] - most) / most
            inside &= generator.random(count) < np.exp(np.minimum(excess, 0))
        return genes[inside]

    def _inside(self, costs: dict[str, Ints]) -> NDArray[np.bool_]:
        inside = np.ones(len(costs["macs"]), dtype=bool)
        for limit in self.limits:
            inside &= (costs[limit.metric] >= limit.low) & (costs[limit.metric] <= limit.high)
        return inside

    def _prepare(self) -> bool:
        """Choose the buckets and the tilt; return whether any genotype is inside."""
        for buckets in self._resolutions():
            plain = Pathways(self.table, self.bounds, buckets)
            if not plain.total or (self._tilts and plain.fewest_params > self.bounds.most_params):
                return False
            if plain.total <= _LISTABLE:
                genes = plain.listed()
                self.listed = genes[self._inside(self.table.costs(genes))]
                return bool(len(self.listed))
            if self._choose(chain([plain], self._tilted(buckets)), PROBES) or self._share_in_range(plain) >= _FINE:
                break
        if not self.acceptance:
            self._choose(chain([plain], self._tilted(buckets)), MANY_PROBES)
        self.proved = self.acceptance > 0
        return self.acceptance > 0

    @property
    def _tilts(self) -> tuple[float, ...]:
        """The tilts to try: ``_TILTS`` if params are limited as well as MACs, else none."""
        bounds = self.bounds
        limited = bounds.main == "macs" and bounds.most_params < self.table.range("params")[1]
        return _TILTS if limited else ()

    def _tilted(self, buckets: int) -> Iterator[Pathways]:
        return (Pathways(self.table, self.bounds, buckets, tilt) for tilt in self._tilts)

    def _resolutions(self) -> list[int]:
        states = sum(len(segment.macs) for segment in self.table.segments)
        return [min(buckets, _MOST_CELLS // states) for buckets in _RESOLUTIONS]

    def _choose(self, candidates: Iterable[Pathways], probes: int) -> bool:
        """Choose the first candidate with enough kept draws, else the one with most; return whether they are enough."""
        for pathways in candidates:
            acceptance = len(self.draw_inside(pathways, np.random.default_rng(0), probes)) / probes
            if acceptance > self.acceptance or self._pathways is None:
                self._pathways, self.acceptance = pathways, acceptance
            if acceptance >= _ENOUGH:
                return True
        return False

    def _share_in_range(self, pathways: Pathways) -> float:
        """Return the share of draws whose exact main cost is in its range."""
        main = self.table.costs(pathways.draw(np.random.default_rng(0), PROBES))[self.bounds.main]
        return float(((main >= self.bounds.low) & (main <= self.bounds.high)).mean())


def _bounds(table: CostTable, limits: Limits) -> Bounds:
    """Return the limits as bounds: a range of the main cost and upper limits of params and activations."""
    lightest, smallest_peak = table.range("params")[0], table.range("peak")[0]
    memory = limits.of("memory_bytes")[1]
    most_params = min(
        limits.of("params")[1], limits.of("weight_bytes")[1] / FLOAT_BYTES, (memory - smallest_peak) / FLOAT_BYTES
    )
    most_peak = min(limits.of("peak_activation_bytes")[1], memory - FLOAT_BYTES * lightest)
    main = "macs" if any(limit.metric == "macs" for limit in limits) else "params"
    low, high = limits.of("macs") if main == "macs" else (0, most_params)
    high = min(high, table.range(main)[1])
    return Bounds(main, math.ceil(low), math.floor(high), most_params, most_peak)
