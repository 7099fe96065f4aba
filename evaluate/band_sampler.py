"""Genotypes drawn uniformly from those inside a MACs band, by dynamic programming over a space's cost table.

Costs are rounded down to buckets, and for every segment and state the number of ways to complete the network with a
given sum of buckets is counted backwards. Genotypes are then drawn segment by segment in proportion to those counts
and kept if their exact MACs are inside. Rounding blurs the band by at most one bucket a segment, so nearly all are; a
band that proves too thin for the buckets gets finer ones. A band with no way through, or with few enough to list and
none inside, is empty for certain (``proved``); one in which no draw succeeds at the finest buckets is only taken for
empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.cost_table import IMPOSSIBLE, CostTable, SegmentTable

Counts = NDArray[np.float64]


class BandSampler:
    """Uniform sampler of the genotypes with ``low <= MACs <= high``.

    Args:
        table: the space's compiled costs.
        low: fewest MACs admitted.
        high: most MACs admitted.
    """

    resolutions = (2**13, 2**17, 2**20)
    tries = 500
    listable = 5_000

    def __init__(self, table: CostTable, low: int, high: int) -> None:
        smallest, largest = table.macs_range()
        self.table, self.low, self.high = table, low, min(high, largest)
        self.listed: NDArray[np.int64] | None = None
        self.empty, self.proved = self.high < max(low, smallest), True
        for buckets in self.resolutions if not self.empty else ():
            self._count(buckets)
            if self._ways.sum() <= self.listable:
                self.listed = self._list()
                self.empty = not len(self.listed)
                return
            if self.sample(np.random.default_rng(0)) is not None:
                return
        self.empty, self.proved = True, self.empty

    def sample(self, generator: np.random.Generator) -> NDArray[np.int64] | None:
        """Draw the genes of one genotype inside the band; ``None`` if none was met in bounded tries."""
        if self.listed is not None:
            return self.listed[generator.integers(len(self.listed))] if len(self.listed) else None
        for _ in range(self.tries):
            genes = self._draw(generator, self._start(generator))
            macs = int(self.table.costs(genes[None])["macs"][0])
            if self.low <= macs <= self.high:
                return genes
        return None

    def nearest(self, target: int) -> int:
        """Return exact MACs near ``target`` that the space reaches (of 100 networks in the nearest buckets)."""
        generator = np.random.default_rng(0)
        self._count(self.resolutions[1])
        reached = np.flatnonzero(self._ways)
        close = reached[np.argsort(np.abs((reached + self._offset) * self._width - target))[:4]]
        genes = [self._draw(generator, int(bucket)) for bucket in close for _ in range(25)]
        macs = self.table.costs(np.stack(genes))["macs"]
        return int(macs[np.abs(macs - target).argmin()])

    def _count(self, buckets: int) -> None:
        """Fill ``_completions[segment][state, b]``: ways to complete the network with sum of buckets ``b``."""
        self._width = max(1, self.high // buckets)
        self._options = [_grouped(segment, self._width) for segment in self.table.segments]
        length = self.high // self._width + 1
        following: Counts = np.zeros((1, length))
        following[0, 0] = 1
        self._completions: list[Counts] = [following]
        for segment, options in zip(reversed(self.table.segments), reversed(self._options), strict=True):
            counts: Counts = np.zeros((len(segment.macs), length))
            for state, (after, bucket, ways) in enumerate(options):
                for next_state, shift, number in zip(after, bucket, ways, strict=True):
                    if shift < length:
                        counts[state, shift:] += number * following[next_state, : length - shift]
            following = counts
            self._completions.append(counts)
        self._completions.reverse()
        self._offset = max(0, self.low // self._width - len(self.table.segments))
        self._ways = self._completions[0][0, self._offset :]
        self._cumulative = np.cumsum(self._ways)

    def _start(self, generator: np.random.Generator) -> int:
        """Draw a sum of buckets (counted from the offset) in proportion to the ways to reach it."""
        return int(np.searchsorted(self._cumulative, generator.random() * self._cumulative[-1], side="right"))

    def _list(self) -> NDArray[np.int64]:
        """Return the genes of every genotype inside the band, following only ways that lead there."""
        found: list[dict[int, int]] = []

        def follow(index: int, state: int, left: int, genes: dict[int, int]) -> None:
            if index == len(self.table.segments):
                found.append(genes)
                return
            after, bucket, weights = self._ways_on(index, state, left)
            for option in np.flatnonzero(weights).tolist():
                chosen = genes | self.table.segments[index].genes_of(option)
                follow(index + 1, int(after[option]), left - int(bucket[option]), chosen)

        for start in np.flatnonzero(self._ways).tolist():
            follow(0, 0, start + self._offset, {})
        tokens = len(self.table.space.gene_sizes)
        rows = np.array([[genes[gene] for gene in range(tokens)] for genes in found], dtype=np.int64).reshape(
            -1, tokens
        )
        macs = self.table.costs(rows)["macs"]
        return rows[(macs >= self.low) & (macs <= self.high)]

    def _draw(self, generator: np.random.Generator, start: int) -> NDArray[np.int64]:
        """Draw a genotype whose buckets sum to ``start`` above the offset."""
        genes = np.zeros(len(self.table.space.gene_sizes), dtype=np.int64)
        state, left = 0, start + self._offset
        for index, segment in enumerate(self.table.segments):
            after, bucket, weights = self._ways_on(index, state, left)
            cumulative = np.cumsum(weights)
            option = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
            for gene, value in segment.genes_of(option).items():
                genes[gene] = value
            state, left = int(after[option]), left - int(bucket[option])
        return genes

    def _ways_on(self, index: int, state: int, left: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Counts]:
        """For each option of a segment: the state behind it, its bucket, and the ways on to a sum of ``left``."""
        segment = self.table.segments[index]
        after, bucket = segment.next_state[state], segment.macs[state] // self._width
        fits = (after != IMPOSSIBLE) & (bucket <= left)
        ways = self._completions[index + 1][after, np.where(fits, left - bucket, 0)]
        return after, bucket, np.where(fits, ways, 0)


def _grouped(segment: SegmentTable, width: int) -> list[tuple[list[int], list[int], list[int]]]:
    """For each state: the distinct (next state, bucket) of its options and how many options share each."""
    rows = []
    for after, macs in zip(segment.next_state, segment.macs, strict=True):
        possible = after != IMPOSSIBLE
        pairs, ways = np.unique(np.stack([after[possible], macs[possible] // width]), axis=1, return_counts=True)
        rows.append((pairs[0].tolist(), pairs[1].tolist(), ways.tolist()))
    return rows
