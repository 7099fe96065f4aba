"""Paths through a space's cost table, counted by dynamic programming, and drawn or listed by their counts.

The *main* cost is rounded down to buckets. For every segment and state, the number of ways to complete the network with
a given sum of buckets is counted, from the last segment to the first. Genotypes are then drawn segment by segment, in
proportion to these counts. Rounding widens the range of the main cost by at most one bucket per segment. With a *tilt*,
every option has the weight ``exp(-tilt * params / most_params)``, so that networks with few params are drawn more
often, by a known factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.cost.table import CostTable, Ints, SegmentTable

Floats = NDArray[np.float64]
_CELLS = 2**22  # size of a batch's matrix of weights: 32 MiB


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds on a network's costs.

    Attributes:
        main: the cost that is counted in buckets, ``macs`` or ``params``.
        low: smallest allowed main cost.
        high: largest allowed main cost.
        most_params: largest allowed number of params.
        most_peak: largest allowed peak of the activations, in bytes.
    """

    main: str
    low: int
    high: int
    most_params: float
    most_peak: float


@dataclass(frozen=True, slots=True)
class _Groups:
    """The usable options of one segment from one state, grouped by the next state and the bucket.

    Attributes:
        after: next state of each group.
        bucket: main cost of each group, in buckets.
        weight: weight of each group, the sum over its options.
        options: the options, group by group.
        first: index of each group's first option in ``options``, and the number of options as the last entry.
        cumulative: for each option, the index of its group plus the share of the group's weight up to and including
            this option.
    """

    after: Ints
    bucket: Ints
    weight: Floats
    options: Ints
    first: Ints
    cumulative: Floats


class Pathways:
    """The paths through a cost table that end inside the bounds, with an error of at most one bucket per segment.

    Args:
        table: the space's compiled costs.
        bounds: the bounds on a network's costs.
        buckets: number of buckets of the main cost's range.
        tilt: strength of the preference for networks with few params; 0 for none. Up to 500, no weight inside the
            bounds underflows.
    """

    def __init__(self, table: CostTable, bounds: Bounds, buckets: int, tilt: float = 0.0) -> None:
        self.table, self.bounds, self.tilt = table, bounds, tilt
        self.width = max(1, bounds.high // buckets)
        self._length = bounds.high // self.width + 1
        self._groups = [self._grouped(segment) for segment in table.segments]
        self._completions = self._count()
        self.offset = max(0, bounds.low // self.width - len(table.segments))
        self.ways: Floats = self._completions[0][0, self.offset :]
        self._cumulative = np.cumsum(self.ways)

    @property
    def total(self) -> float:
        """Number of paths; with a tilt, their weighted number up to a constant factor."""
        return float(self._cumulative[-1]) if len(self._cumulative) else 0.0

    @cached_property
    def fewest_params(self) -> int:
        """Lower bound of the params of the networks inside the bounds."""
        never = np.iinfo(np.int64).max // 4
        following = np.full((1, self._length), never, dtype=np.int64)
        following[0, 0] = 0
        for segment, states in zip(reversed(self.table.segments), reversed(self._groups), strict=True):
            least = np.full((len(states), self._length), never, dtype=np.int64)
            for state, groups in enumerate(states):
                params = segment.params[state, groups.options]
                lightest = np.minimum.reduceat(params, groups.first[:-1]).tolist() if len(params) else []
                for after, shift, own in zip(groups.after.tolist(), groups.bucket.tolist(), lightest, strict=True):
                    if shift < self._length:
                        here = least[state, shift:]
                        np.minimum(here, own + following[after, : self._length - shift], out=here)
            following = np.minimum(least, never)
        return int(following[0, self.offset :].min())

    def draw(self, generator: np.random.Generator, count: int) -> Ints:
        """Draw genotypes ``(count, genes)`` in proportion to their weights."""
        start = np.searchsorted(self._cumulative, generator.random(count) * self.total, side="right")
        return self.draw_from(generator, np.minimum(start, len(self.ways) - 1))

    def draw_from(self, generator: np.random.Generator, start: Ints) -> Ints:
        """Draw genotypes ``(n, genes)`` whose buckets sum to ``start + offset``; ``start`` is ``(n,)``."""
        genes = np.zeros((len(start), len(self.table.space.gene_sizes)), dtype=np.int64)
        state, left = np.zeros(len(start), dtype=np.int64), start + self.offset
        for index, segment in enumerate(self.table.segments):
            chosen = np.zeros_like(state)
            uniform = generator.random((2, len(start)))
            before = state.copy()
            for here in np.unique(before):
                groups = self._groups[index][here]
                rows = np.flatnonzero(before == here)
                step = max(1, _CELLS // max(1, len(groups.after)))
                for part in (rows[at : at + step] for at in range(0, len(rows), step)):
                    group = self._choose_group(index, groups, left[part], uniform[0, part])
                    place = np.searchsorted(groups.cumulative, group + uniform[1, part], side="right")
                    chosen[part] = groups.options[np.clip(place, groups.first[group], groups.first[group + 1] - 1)]
                    state[part], left[part] = groups.after[group], left[part] - groups.bucket[group]
            segment.write_genes(chosen, genes)
        return genes

    def listed(self) -> Ints:
        """Return the genes ``(n, genes)`` of every path; branches that cannot be completed are skipped."""
        found: list[list[int]] = []

        def follow(index: int, state: int, left: int, chosen: list[int]) -> None:
            if index == len(self.table.segments):
                found.append(chosen)
                return
            groups = self._groups[index][state]
            for group, (after, bucket) in enumerate(zip(groups.after.tolist(), groups.bucket.tolist(), strict=True)):
                if bucket <= left and self._completions[index + 1][after, left - bucket]:
                    for option in groups.options[groups.first[group] : groups.first[group + 1]].tolist():
                        follow(index + 1, after, left - bucket, [*chosen, option])

        for start in np.flatnonzero(self.ways).tolist():
            follow(0, 0, start + self.offset, [])
        genes = np.zeros((len(found), len(self.table.space.gene_sizes)), dtype=np.int64)
        options = np.array(found, dtype=np.int64).reshape(len(found), len(self.table.segments))
        for segment, column in zip(self.table.segments, options.T, strict=True):
            segment.write_genes(column, genes)
        return genes

    def _count(self) -> list[Floats]:
        """Return ``completions[segment][state, b]``: weighted ways to complete the network with buckets summing to b.

        Tilted counts are rescaled after each segment, because they would underflow; only their ratios matter.
        """
        following: Floats = np.zeros((1, self._length))
        following[0, 0] = 1
        completions: list[Floats] = [following]
        for states in reversed(self._groups):
            counts: Floats = np.zeros((len(states), self._length))
            for state, groups in enumerate(states):
                rows = zip(groups.after.tolist(), groups.bucket.tolist(), groups.weight.tolist(), strict=True)
                for after, shift, weight in rows:
                    if shift < self._length:
                        counts[state, shift:] += weight * following[after, : self._length - shift]
            scale = counts.max() if self.tilt else 0.0
            following = counts / scale if scale else counts
            completions.append(following)
        return completions[::-1]

    def _grouped(self, segment: SegmentTable) -> list[_Groups]:
        """Return the segment's usable options for each state, grouped by the next state and the bucket."""
        rows = []
        lightest = int(segment.params.min())
        for state in range(len(segment.macs)):
            usable = np.flatnonzero(segment.possible[state] & (segment.peak[state] <= self.bounds.most_peak))
            bucket = getattr(segment, self.bounds.main)[state, usable] // self.width
            after = segment.next_state[state, usable]
            order = np.lexsort((bucket, after))
            usable, bucket, after = usable[order], bucket[order], after[order]
            new = np.ones(len(usable), dtype=bool)
            new[1:] = (np.diff(after) != 0) | (np.diff(bucket) != 0)
            first, group = np.flatnonzero(new), np.cumsum(new) - 1
            excess = self.tilt * (segment.params[state, usable] - lightest) / max(self.bounds.most_params, 1)
            weights = np.maximum(np.exp(-excess), 1e-300)  # shares of a group must add up to 1
            totals: Floats = np.bincount(group, weights, minlength=len(first)).astype(np.float64)
            shares = weights / np.where(totals > 0, totals, 1)[group]
            bounds = np.append(first, len(usable))
            rows.append(_Groups(after[first], bucket[first], totals, usable, bounds, np.cumsum(shares)))
        return rows

    def _choose_group(self, index: int, groups: _Groups, left: Ints, uniform: Floats) -> Ints:
        """Choose a group of options for every row, in proportion to its number of paths with the sum ``left``."""
        rest = left[:, None] - groups.bucket[None, :]
        weights = self._completions[index + 1][groups.after[None, :], np.maximum(rest, 0)]
        weights = np.where(rest >= 0, weights * groups.weight, 0)
        cumulative = np.cumsum(weights, axis=1)
        group: Ints = (cumulative <= (uniform * cumulative[:, -1])[:, None]).sum(axis=1)
        return np.minimum(group, len(groups.after) - 1, out=group)
