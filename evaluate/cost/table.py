"""A stage-table space compiled into cost tables: exact costs for many genotypes at once.

A network is a sequence of segments from the image to the classifier: root and stem, each stage, the head. The cost of a
segment depends only on its own genes and on the *state* in which it starts: channels, map size, classes and the root's
width factor. So a space compiles into one table per segment, ``(states, options)``. MACs and params of a genotype are
sums of look-ups; its peak of activations is the largest look-up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.evaluate.cost.exact import FLOAT_BYTES, Cost, head_cost, stage_cost, stem_cost
from nas.search_spaces.network import check_stride
from nas.search_spaces.parts import Head, Stage, Stem, output_size
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.yaml_shorthand import Modifiers

Ints = NDArray[np.int64]
IMPOSSIBLE = -1
CHUNK = 2**14
_FEW = 4  # up to this number, genotypes are counted faster one by one
MOST_OPTIONS = 2**17  # largest number of options of one segment
_MOST_MACS = 2**56  # largest MACs of one segment; sums of larger values would overflow


@dataclass(frozen=True, slots=True)
class State:
    """The results of the previous segments that the cost of a segment depends on."""

    channels: int
    size: int
    classes: int
    modifiers: Modifiers


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """One segment's table; every array is ``(states, options)``.

    Attributes:
        genes: indices of the genes that decide the segment.
        sizes: number of options of each of these genes; an option of the segment is their mixed-radix number.
        next_state: state in which the next segment starts; ``IMPOSSIBLE`` if the options give no valid network
            (stride 2 on a 1x1 map).
        macs: multiply-adds.
        params: parameters.
        peak: peak bytes of activations.
    """

    genes: tuple[int, ...]
    sizes: tuple[int, ...]
    next_state: Ints
    macs: Ints
    params: Ints
    peak: Ints

    def option(self, genes: Ints) -> Ints:
        """Return the segment's option for each row of ``genes`` ``(n, genes)``, shape ``(n,)``."""
        index = np.zeros(len(genes), dtype=np.int64)
        for gene, size in zip(self.genes, self.sizes, strict=True):
            index = index * size + genes[:, gene]
        return index

    def write_genes(self, option: Ints, genes: Ints) -> None:
        """Write the genes of each option ``(n,)`` into the rows of ``genes`` ``(n, genes)``."""
        for gene, size in zip(reversed(self.genes), reversed(self.sizes), strict=True):
            option, genes[:, gene] = np.divmod(option, size)

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Whether each option gives a valid network, ``(states, options)``."""
        possible: NDArray[np.bool_] = self.next_state != IMPOSSIBLE
        return possible


def can_be_tabulated(space: StageTableSpace) -> bool:
    """Return whether every segment has few enough options to be compiled into a table."""
    counts = [math.prod(space.gene_sizes[index] for index in segment) for segment in space.segments]
    return max(counts[0] * counts[1], *counts[2:]) <= MOST_OPTIONS


class CostTable:
    """Exact costs of a stage-table space, for arrays of genotypes, for one genotype, and for the whole space.

    Attributes:
        segments: the tables, from the stem to the head.
        states: the states in which each segment can start; ``None`` is the image.
    """

    def __init__(self, space: StageTableSpace) -> None:
        self.space = space
        self.segments: list[SegmentTable] = []
        self.states: list[list[State | None]] = []
        states: list[State | None] = [None]
        for segment in range(1, len(space.segments)):
            self.states.append(states)
            table, states = _compile(space, segment, states)
            self.segments.append(table)
        self._packed = [
            np.stack([table.next_state, table.macs, table.params, table.peak], axis=-1).reshape(-1, 4)
            for table in self.segments
        ]
        self._getters = [_getter(table.genes) for table in self.segments]
        self._known: list[dict[Any, tuple[int, int, int, int]]] = [{} for _ in self.segments]

    def costs(self, genes: NDArray[Any]) -> dict[str, Ints]:
        """Return every metric of ``COST_METRICS`` as an array ``(n,)`` for genotypes ``(n, genes)``.

        A genotype that gives no valid network gets ``IMPOSSIBLE`` for every metric.
        """
        genes = np.asarray(genes, dtype=np.int64)
        columns = np.empty((3, len(genes)), dtype=np.int64)
        if len(genes) <= _FEW:
            for place, row in enumerate(genes.tolist()):
                columns[:, place] = self._cost_or_impossible(row)
        else:
            for start in range(0, len(genes), CHUNK):  # a chunk fits into the CPU cache
                columns[:, start : start + CHUNK] = self._costs(genes[start : start + CHUNK])
        macs, params, peak = columns
        weight = np.where(params == IMPOSSIBLE, IMPOSSIBLE, FLOAT_BYTES * params)
        memory = np.where(params == IMPOSSIBLE, IMPOSSIBLE, weight + peak)
        figures = {"macs": macs, "params": params, "peak_activation_bytes": peak}
        return figures | {"weight_bytes": weight, "memory_bytes": memory}

    def cost(self, genes: Sequence[int]) -> Cost:
        """Return the cost of one genotype.

        Raises:
            InputError: if the genotype gives no valid network.
        """
        state = macs = params = peak = 0
        for segment, (getter, known) in enumerate(zip(self._getters, self._known, strict=True)):
            key = state, getter(genes)
            row = known.get(key)
            if row is None:
                row = known[key] = self._look_up(segment, state, genes)
            state, more_macs, more_params, here = row
            macs += more_macs
            params += more_params
            if here > peak:
                peak = here
        return Cost(macs, params, peak)

    def macs_range(self) -> tuple[int, int]:
        """Return the exact smallest and largest MACs of the space."""
        return self.range("macs")

    def range(self, metric: str) -> tuple[int, int]:
        """Return the exact smallest and largest ``macs``, ``params`` or ``peak`` of the space.

        Computed by dynamic programming over the segments, with sums for MACs and params and maxima for the peak.
        """
        combine = np.maximum if metric == "peak" else np.add
        low = high = np.zeros(1, dtype=np.int64)
        none = np.iinfo(np.int64).max // 4
        for segment in reversed(self.segments):
            own, possible = getattr(segment, metric), segment.possible
            following = np.where(possible, segment.next_state, 0)
            low = np.where(possible, combine(own, low[following]), none).min(axis=1)
            high = np.where(possible, combine(own, high[following]), -none).max(axis=1)
        return int(low[0]), int(high[0])

    def _costs(self, genes: Ints) -> Ints:
        state = np.zeros(len(genes), dtype=np.int64)
        sums = np.zeros((len(genes), 2), dtype=np.int64)
        peak, possible = np.zeros_like(state), np.ones(len(genes), dtype=bool)
        for segment, packed in zip(self.segments, self._packed, strict=True):
            row = packed[state * segment.macs.shape[1] + segment.option(genes)]
            state = row[:, 0]
            sums += row[:, 1:3]
            np.maximum(peak, row[:, 3], out=peak)
            if (state == IMPOSSIBLE).any():
                possible &= state != IMPOSSIBLE
                state = np.where(possible, state, 0)
        columns = np.stack([sums[:, 0], sums[:, 1], peak])
        return columns if possible.all() else np.where(possible, columns, IMPOSSIBLE)

    def _cost_or_impossible(self, genes: Sequence[int]) -> tuple[int, int, int]:
        try:
            cost = self.cost(genes)
        except InputError:
            return IMPOSSIBLE, IMPOSSIBLE, IMPOSSIBLE
        return cost.macs, cost.params, cost.peak_activation_bytes

    def _look_up(self, segment: int, state: int, genes: Sequence[int]) -> tuple[int, int, int, int]:
        table = self.segments[segment]
        option = int(table.option(np.asarray([genes], dtype=np.int64))[0])
        row = self._packed[segment][state * table.macs.shape[1] + option].tolist()
        if row[0] == IMPOSSIBLE:
            raise InputError(f"genes {tuple(genes)} make no network: a stride of 2 on a 1x1 map, or no stage at all")
        return (row[0], row[1], row[2], row[3])


def _getter(indices: tuple[int, ...]) -> Any:
    return itemgetter(*indices) if indices else lambda _: ()


def _options(space: StageTableSpace, segment: int) -> list[tuple[int, ...]]:
    return list(product(*(range(space.gene_sizes[index]) for index in space.segments[segment])))


def _compile(
    space: StageTableSpace, segment: int, states: list[State | None]
) -> tuple[SegmentTable, list[State | None]]:
    """Tabulate one segment from every state it can start from; the stem's table also covers the root's genes."""
    first = segment == 1
    options = list(product(_options(space, 0) if first else [()], _options(space, segment)))
    indices = (*space.segments[0], *space.segments[1]) if first else tuple(space.segments[segment])
    shape = (len(states), len(options))
    next_state = np.full(shape, IMPOSSIBLE, dtype=np.int64)
    figures = np.zeros((3, *shape), dtype=np.int64)
    reached: dict[State | None, int] = {}
    for row, state in enumerate(states):
        for column, (root, genes) in enumerate(options):
            try:
                cost, after = (
                    _from_image(space, root, genes) if state is None else _onwards(space, segment, genes, state)
                )
            except InputError:
                continue
            if cost.macs > _MOST_MACS:
                continue
            figures[:, row, column] = cost.macs, cost.params, cost.peak_activation_bytes
            next_state[row, column] = reached.setdefault(after, len(reached))
    sizes = tuple(space.gene_sizes[index] for index in indices)
    return SegmentTable(indices, sizes, next_state, *figures), list(reached)


def _from_image(space: StageTableSpace, root: tuple[int, ...], genes: tuple[int, ...]) -> tuple[Cost, State]:
    values, modifiers = space.root(root)
    stem = space.part(1, genes, modifiers)
    assert isinstance(stem, Stem)
    resolution = values["resolution"]
    check_stride("stem", stem.stride, resolution)
    width_alone = replace(modifiers, activation=None)  # activations cost nothing
    return stem_cost(stem, resolution), State(stem.channels, stem.out_size(resolution), values["classes"], width_alone)


def _onwards(space: StageTableSpace, segment: int, genes: tuple[int, ...], state: State) -> tuple[Cost, State | None]:
    part = space.part(segment, genes, state.modifiers)
    if isinstance(part, Head):
        return head_cost(part, state.channels, state.size, state.classes), None
    assert isinstance(part, Stage)
    if not part.layers:
        return Cost(0, 0), state
    check_stride("stage", part.stride, state.size)
    after = replace(state, channels=part.channels, size=output_size(state.size, part.stride))
    return stage_cost(part, state.channels, state.size), after
