"""A stage-table space compiled into cost tables: exact costs for many genotypes at once.

Walking the table from the image to the classifier, a segment (root and stem, each stage, the head) costs what its own
genes say, given the *state* it starts from: channels and map size. So a space compiles into one table a segment,
``(states, options)``, and the cost of a genotype is a sum of look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.cost import Cost, head_cost, stage_cost, stem_cost
from nas.search_spaces.errors import InputError
from nas.search_spaces.network import output_size
from nas.search_spaces.stage_table_space import StageTableSpace

Ints = NDArray[np.int64]
State = tuple[int, ...]
IMPOSSIBLE = -1


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """One segment's table.

    Attributes:
        genes: which genes of the genotype decide the segment.
        sizes: their option counts; an option of the segment is their mixed-radix number.
        next_state: ``(states, options)`` the state the following segment starts from; ``IMPOSSIBLE`` where the
            options make no network (stride 2 on a 1x1 map).
        macs: ``(states, options)`` multiply-adds.
        params: ``(states, options)`` parameters.
    """

    genes: tuple[int, ...]
    sizes: tuple[int, ...]
    next_state: Ints
    macs: Ints
    params: Ints

    def option(self, genes: Ints) -> Ints:
        """Return the segment's option for each row of ``genes`` ``(n, tokens)``, shape ``(n,)``."""
        index = np.zeros(len(genes), dtype=np.int64)
        for gene, size in zip(self.genes, self.sizes, strict=True):
            index = index * size + genes[:, gene]
        return index

    def genes_of(self, option: int) -> dict[int, int]:
        """Return the genes of an option, by their place in the genotype."""
        values = {}
        for gene, size in zip(reversed(self.genes), reversed(self.sizes), strict=True):
            option, values[gene] = divmod(option, size)
        return values


class CostTable:
    """Exact MACs and params of a stage-table space, for arrays of genotypes and for the space as a whole."""

    def __init__(self, space: StageTableSpace) -> None:
        self.space = space
        self.segments: list[SegmentTable] = []
        states: list[State] = [()]
        roots = _options(space, 0)
        for segment in range(1, len(space.segments)):
            table, states = _compile(space, segment, states, roots)
            self.segments.append(table)

    def costs(self, genes: Ints) -> dict[str, Ints]:
        """Return ``macs`` and ``params`` of shape ``(n,)`` for genotypes of shape ``(n, tokens)``.

        Genotypes that make no network get ``IMPOSSIBLE``.
        """
        genes = np.asarray(genes, dtype=np.int64)
        state = np.zeros(len(genes), dtype=np.int64)
        macs, params, possible = np.zeros_like(state), np.zeros_like(state), np.ones(len(genes), dtype=bool)
        for segment in self.segments:
            option = segment.option(genes)
            macs += segment.macs[state, option]
            params += segment.params[state, option]
            state = segment.next_state[state, option]
            possible &= state != IMPOSSIBLE
            state = np.where(possible, state, 0)
        return {"macs": np.where(possible, macs, IMPOSSIBLE), "params": np.where(possible, params, IMPOSSIBLE)}

    def macs_range(self) -> tuple[int, int]:
        """Return the exact smallest and largest MACs of the space, by dynamic programming over the segments."""
        low = high = None
        for segment in reversed(self.segments):
            possible = segment.next_state != IMPOSSIBLE
            following = np.where(possible, segment.next_state, 0)
            small = segment.macs + (low[following] if low is not None else 0)
            large = segment.macs + (high[following] if high is not None else 0)
            none = np.iinfo(np.int64).max // 4
            low = np.where(possible, small, none).min(axis=1)
            high = np.where(possible, large, -none).max(axis=1)
        assert low is not None and high is not None
        return int(low[0]), int(high[0])


def _options(space: StageTableSpace, segment: int) -> list[tuple[int, ...]]:
    return list(product(*(range(space.gene_sizes[index]) for index in space.segments[segment])))


def _compile(
    space: StageTableSpace, segment: int, states: list[State], roots: list[tuple[int, ...]]
) -> tuple[SegmentTable, list[State]]:
    """Tabulate one segment from every state it can start from; the stem's table also covers the root's genes."""
    first, last = segment == 1, segment == len(space.segments) - 1
    own = _options(space, segment)
    combinations: list[tuple[tuple[int, ...], tuple[int, ...]]] = list(product(roots if first else [()], own))
    indices = (*space.segments[0], *space.segments[1]) if first else tuple(space.segments[segment])
    shape = (len(states), len(combinations))
    next_state = np.full(shape, IMPOSSIBLE, dtype=np.int64)
    macs, params = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    reached: dict[State, int] = {}
    for row, state in enumerate(states):
        for column, (root, genes) in enumerate(combinations):
            part = space.part(segment, genes)
            try:
                if first:
                    cost, after = _from_image(part, space.part(0, root))
                elif last:
                    channels, size, classes = state
                    cost, after = head_cost(part, channels, size, classes), ()
                else:
                    cost, after = _through_stage(part, state)
            except InputError:
                continue
            macs[row, column], params[row, column] = cost.macs, cost.params
            next_state[row, column] = reached.setdefault(after, len(reached))
    sizes = tuple(space.gene_sizes[index] for index in indices)
    return SegmentTable(indices, sizes, next_state, macs, params), list(reached)


def _from_image(stem: Any, root: dict[str, Any]) -> tuple[Cost, State]:
    _check_stride(stem.stride, root["resolution"])
    size = output_size(root["resolution"], stem.stride)
    return stem_cost(stem, root["resolution"]), (stem.channels, size, root["classes"])


def _through_stage(stage: Any, state: State) -> tuple[Cost, State]:
    channels, size, classes = state
    _check_stride(stage.stride, size)
    return stage_cost(stage, channels, size), (stage.channels, output_size(size, stage.stride), classes)


def _check_stride(stride: int, size: int) -> None:
    if stride == 2 and size == 1:
        raise InputError("stride 2 on a 1x1 map")
