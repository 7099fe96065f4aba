"""Genotypes drawn uniformly from those inside a budget, by dynamic programming over a space's cost table.

The budget's *main* cost, MACs if they are limited, is rounded down to buckets, and for every segment and state the
number of ways to complete the network with a given sum of buckets is counted backwards. Genotypes are then drawn
segment by segment in proportion to those counts and kept if their exact costs are inside. Rounding blurs the budget by
at most one bucket a segment, so nearly all are; a band that proves too thin for the buckets gets finer ones.

Where params are limited too and few draws keep to that, the ways are weighted by ``exp(-tilt * params)``, and a draw
is kept with a probability that undoes its weight: still uniform, but no longer a matter of luck. A ceiling on
activations closes the options above it. A budget with no way through, with no network light enough, or with few enough
to list and none inside, is empty for certain (``proved``); one in which no draw succeeds is only taken for empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.cost import FLOAT_BYTES
from nas.evaluate.cost_table import CostTable, Ints, SegmentTable
from nas.evaluate.limits import Limits

Floats = NDArray[np.float64]
CELLS = 2**22  # of a batch's matrix of weights: 32 MiB
MOST_CELLS = 2**27  # of all counts together: 1 GiB


@dataclass(frozen=True, slots=True)
class _Ways:
    """The options of one segment from one state, those of equal consequence together.

    Attributes:
        after: state behind each group.
        bucket: main cost of each group, in buckets.
        options: the options, group by group.
        first: place of each group's first option, and one past the last.
        cumulative: weights of the options, summed up from a leading 0; ``(options + 1,)``.
    """

    after: Ints
    bucket: Ints
    options: Ints
    first: Ints
    cumulative: Floats

    @property
    def weight(self) -> Floats:
        """Weight of each group, the sum over its options."""
        return self.cumulative[self.first[1:]] - self.cumulative[self.first[:-1]]


class TableSampler:
    """Uniform sampler of the genotypes inside a budget.

    Args:
        table: the space's compiled costs.
        limits: the budget.
    """

    resolutions = (2**13, 2**17, 2**20)
    tilts = (3.0, 10.0, 30.0, 100.0, 300.0)
    listable = 5_000
    enough, fine = 0.05, 0.5

    def __init__(self, table: CostTable, limits: Limits) -> None:
        self.table, self.limits = table, limits
        self.listed: Ints | None = None
        self.acceptance = self._in_range = 0.0
        self._resolve_limits()
        self.empty = self._high < self._low or self._high < self._range[0] or self._most_params < 0
        self.proved = True
        if not self.empty:
            self.empty = not self._prepare()

    def sample(self, generator: np.random.Generator, count: int = 1) -> Ints | None:
        """Draw ``count`` genotypes inside the budget, ``(count, tokens)``; ``None`` if bounded tries met fewer."""
        if self.empty:
            return None
        if self.listed is not None:
            return self.listed[generator.integers(len(self.listed), size=count)]
        kept: list[Ints] = []
        missing, tries = count, int(20 * count / self.acceptance) + 1_000
        while missing > 0 and tries > 0:
            batch = min(math.ceil(1.1 * missing / self.acceptance), 2**17)
            inside = self._draw_inside(generator, batch)[:missing]
            kept.append(inside)
            missing, tries = missing - len(inside), tries - batch
        return None if missing else np.concatenate(kept)

    @property
    def estimated_size(self) -> float:
        """How many genotypes are inside: exact where they are listed, else ways times the share of draws inside."""
        if self.empty:
            return 0.0
        if self.listed is not None:
            return float(len(self.listed))
        if self._tilt:
            raise ValueError("the size of a tilted budget is not estimated")
        return float(self._ways.sum()) * self.acceptance

    def nearest(self, target: int) -> int:
        """Return an exact main cost near ``target`` that the space reaches (of 100 networks in the nearest buckets)."""
        self._count(self.resolutions[1], 0.0)
        reached = np.flatnonzero(self._ways)
        close = reached[np.argsort(np.abs((reached + self._offset) * self._width - target))[:4]]
        genes = self._draw(np.random.default_rng(0), np.repeat(close, 25))
        costs = self.table.costs(genes)[self._main]
        return int(costs[np.abs(costs - target).argmin()])

    def _resolve_limits(self) -> None:
        """Turn the limits into a main cost's range, a ceiling of params and one of activations."""
        lightest, smallest_peak = self.table.range("params")[0], self.table.range("peak")[0]
        memory = self.limits.of("memory_bytes")[1]
        self._most_params = min(
            self.limits.of("params")[1],
            self.limits.of("weight_bytes")[1] / FLOAT_BYTES,
            (memory - smallest_peak) / FLOAT_BYTES,
        )
        self._most_peak = min(self.limits.of("peak_activation_bytes")[1], memory - FLOAT_BYTES * lightest)
        self._main = "macs" if any(limit.metric == "macs" for limit in self.limits) else "params"
        low, high = self.limits.of("macs") if self._main == "macs" else (0, self._most_params)
        self._range = self.table.range(self._main)
        self._low, self._high = math.ceil(low), int(min(math.floor(min(high, 2**62)), self._range[1]))
        self._limits_params = self._main == "macs" and self._most_params < self.table.range("params")[1]

    def _prepare(self) -> bool:
        """Choose buckets and tilt; return whether anything is inside."""
        states = sum(len(segment.macs) for segment in self.table.segments)
        for buckets in (min(count, MOST_CELLS // states) for count in self.resolutions):
            self._count(buckets, 0.0)
            if not self._ways.any():
                return False
            if self._limits_params and self._fewest_params() > self._most_params:
                return False
            if self._ways.sum() <= self.listable:
                self.listed = self._list()
                return bool(len(self.listed))
            if self._measure() >= self.enough or (self._limits_params and self._best_tilt(buckets)):
                return True
            if self._in_range >= self.fine:  # it is not for the buckets that draws are outside
                break
        if not self.acceptance:
            self._search_longer(buckets)
        self.proved = self.acceptance > 0
        return self.acceptance > 0

    def _search_longer(self, buckets: int) -> None:
        """Before giving up, draw many more with every tilt that can help."""
        for tilt in (0.0, *self.tilts) if self._limits_params else (0.0,):
            self._count(buckets, tilt)
            if self._measure(40_000):
                return

    def _best_tilt(self, buckets: int) -> bool:
        """Look for the tilt with the most draws inside; return whether enough are."""
        found = {self._tilt: self.acceptance}
        for tilt in self.tilts:
            self._count(buckets, tilt)
            found[tilt] = self._measure()
            if self.acceptance >= self.enough:
                return True
        best = max(found, key=lambda tilt: found[tilt])
        self._count(buckets, best)
        self.acceptance = found[best]
        return False

    def _measure(self, probes: int = 2_000) -> float:
        """Estimate the share of draws inside, always with the same random numbers."""
        self.acceptance = len(self._draw_inside(np.random.default_rng(0), probes)) / probes
        return self.acceptance

    def _draw_inside(self, generator: np.random.Generator, count: int) -> Ints:
        """Draw ``count`` genotypes and return those inside, so that all of them are equally likely."""
        genes = self._draw(generator, self._start(generator, count))
        costs = self.table.costs(genes)
        inside = (costs[self._main] >= self._low) & (costs[self._main] <= self._high)
        self._in_range = float(inside.mean())
        for limit in self.limits:
            inside &= (costs[limit.metric] >= limit.low) & (costs[limit.metric] <= limit.high)
        if self._tilt:
            excess = self._tilt * (costs["params"] - self._most_params) / self._most_params
            inside &= generator.random(count) < np.exp(np.minimum(excess, 0))
        return genes[inside]

    def _count(self, buckets: int, tilt: float) -> None:
        """Fill ``_completions[segment][state, b]``: weighted ways to complete the network with buckets summing to b."""
        self._tilt, self._width = tilt, max(1, self._high // buckets)
        self._options = [self._grouped(segment) for segment in self.table.segments]
        length = self._high // self._width + 1
        following: Floats = np.zeros((1, length))
        following[0, 0] = 1
        self._completions: list[Floats] = [following]
        for options in reversed(self._options):
            counts: Floats = np.zeros((len(options), length))
            for state, ways in enumerate(options):
                groups = zip(ways.after.tolist(), ways.bucket.tolist(), ways.weight.tolist(), strict=True)
                for after, shift, weight in groups:
                    if shift < length:
                        counts[state, shift:] += weight * following[after, : length - shift]
            scale = counts.max() if tilt else 0.0
            following = counts / scale if scale else counts  # tilted weights would vanish; only ratios matter
            self._completions.append(following)
        self._completions.reverse()
        self._offset = max(0, self._low // self._width - len(self.table.segments))
        self._ways = self._completions[0][0, self._offset :]
        self._cumulative = np.cumsum(self._ways)

    def _grouped(self, segment: SegmentTable) -> list[_Ways]:
        """For each state: the segment's usable options, grouped by what follows from them."""
        rows = []
        lightest = int(segment.params.min())
        for state in range(len(segment.macs)):
            usable = np.flatnonzero(segment.possible[state] & (segment.peak[state] <= self._most_peak))
            bucket = getattr(segment, self._main)[state, usable] // self._width
            after = segment.next_state[state, usable]
            order = np.lexsort((bucket, after))
            usable, bucket, after = usable[order], bucket[order], after[order]
            new = np.ones(len(usable), dtype=bool)
            new[1:] = (np.diff(after) != 0) | (np.diff(bucket) != 0)
            first = np.flatnonzero(new)
            # Tilts are small enough that nothing inside the budget underflows.
            excess = self._tilt * (segment.params[state, usable] - lightest) / max(self._most_params, 1)
            cumulative = np.concatenate([[0.0], np.cumsum(np.exp(-excess))])
            rows.append(_Ways(after[first], bucket[first], usable, np.append(first, len(usable)), cumulative))
        return rows

    def _fewest_params(self) -> int:
        """Return a lower bound of the params of any network inside the (blurred) range of the main cost."""
        never = np.iinfo(np.int64).max // 4
        following = np.full((1, self._completions[0].shape[1]), never, dtype=np.int64)
        following[0, 0] = 0
        length = following.shape[1]
        for segment, options in zip(reversed(self.table.segments), reversed(self._options), strict=True):
            least = np.full((len(options), length), never, dtype=np.int64)
            for state, ways in enumerate(options):
                params = segment.params[state, ways.options]
                lightest = np.minimum.reduceat(params, ways.first[:-1]).tolist() if len(params) else []
                for after, shift, own in zip(ways.after.tolist(), ways.bucket.tolist(), lightest, strict=True):
                    if shift < length:
                        here = least[state, shift:]
                        np.minimum(here, own + following[after, : length - shift], out=here)
            following = np.minimum(least, never)
        return int(following[0, self._offset :].min())

    def _start(self, generator: np.random.Generator, count: int) -> Ints:
        """Draw sums of buckets (counted from the offset) in proportion to the ways to reach them."""
        found = np.searchsorted(self._cumulative, generator.random(count) * self._cumulative[-1], side="right")
        starts: Ints = np.minimum(found, len(self._cumulative) - 1)
        return starts

    def _draw(self, generator: np.random.Generator, start: Ints) -> Ints:
        """Draw genotypes ``(n, tokens)`` whose buckets sum to ``start`` ``(n,)`` above the offset."""
        genes = np.zeros((len(start), len(self.table.space.gene_sizes)), dtype=np.int64)
        state, left = np.zeros(len(start), dtype=np.int64), start + self._offset
        for index, segment in enumerate(self.table.segments):
            chosen = np.zeros_like(state)
            uniform = generator.random((2, len(start)))
            before = state.copy()
            for here in np.unique(before):
                ways = self._options[index][here]
                rows = np.flatnonzero(before == here)
                step = max(1, CELLS // max(1, len(ways.after)))
                for part in (rows[at : at + step] for at in range(0, len(rows), step)):
                    group = self._choose_group(index, ways, left[part], uniform[0, part])
                    low, high = ways.first[group], ways.first[group + 1]
                    value = ways.cumulative[low] + uniform[1, part] * (ways.cumulative[high] - ways.cumulative[low])
                    place = np.searchsorted(ways.cumulative, value, side="right") - 1
                    chosen[part] = ways.options[np.clip(place, low, high - 1)]
                    state[part], left[part] = ways.after[group], left[part] - ways.bucket[group]
            segment.write_genes(chosen, genes)
        return genes

    def _choose_group(self, index: int, ways: _Ways, left: Ints, uniform: Floats) -> Ints:
        """Choose a group of options for every row in proportion to the ways it leaves to a sum of ``left``."""
        rest = left[:, None] - ways.bucket[None, :]
        weights = self._completions[index + 1][ways.after[None, :], np.maximum(rest, 0)]
        weights = np.where(rest >= 0, weights * ways.weight, 0)
        cumulative = np.cumsum(weights, axis=1)
        group: Ints = (cumulative <= (uniform * cumulative[:, -1])[:, None]).sum(axis=1)
        return np.minimum(group, len(ways.after) - 1, out=group)

    def _list(self) -> Ints:
        """Return the genes of every genotype inside the budget, following only ways that lead there."""
        tokens = len(self.table.space.gene_sizes)
        found: list[Ints] = []

        def follow(index: int, state: int, left: int, chosen: list[int]) -> None:
            if index == len(self.table.segments):
                found.append(np.array(chosen))
                return
            ways = self._options[index][state]
            for group, (after, bucket) in enumerate(zip(ways.after.tolist(), ways.bucket.tolist(), strict=True)):
                if bucket <= left and self._completions[index + 1][after, left - bucket]:
                    for option in ways.options[ways.first[group] : ways.first[group + 1]].tolist():
                        follow(index + 1, after, left - bucket, [*chosen, option])

        for start in np.flatnonzero(self._ways).tolist():
            follow(0, 0, start + self._offset, [])
        rows = np.zeros((len(found), tokens), dtype=np.int64)
        options = np.array(found, dtype=np.int64).reshape(len(found), len(self.table.segments))
        for segment, column in zip(self.table.segments, options.T, strict=True):
            segment.write_genes(column.copy(), rows)
        costs = self.table.costs(rows)
        inside = [self.limits.admits({name: costs[name][row] for name in costs}) for row in range(len(rows))]
        listed: Ints = rows[np.array(inside, dtype=bool)]
        return listed
