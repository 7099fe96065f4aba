"""The options of a stage table that some network inside upper limits has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.cost.table import CostTable
from nas.evaluate.objective.limits import Limits
from nas.search_spaces.parts import Head, Stage, Stem

Place = tuple[int, int, Stem | Stage | Head]  # the number of its segment, its input channels, the part
_SUMMED = ("macs", "params")


def affordable_parts(table: CostTable, limits: Limits) -> set[Place]:
    """Return the parts of the networks whose MACs and params do not exceed the limits, each with its input channels.

    Each limit is applied alone, so with both a few more parts may be returned. Activations are left out of the parts.
    """
    inside = [segment.possible for segment in table.segments]
    for metric in _SUMMED:
        _, high = limits.of(metric)
        if math.isfinite(high):
            inside = [mask & (least <= high) for mask, least in zip(inside, _least(table, metric), strict=True)]
    return set(_parts(table, inside))


def place_of(segment: int, in_channels: int, part: Stem | Stage | Head) -> Place:
    """Return the key of a part in ``affordable_parts``."""
    return segment, in_channels, replace(part, activation="relu")


def _least(table: CostTable, metric: str) -> list[NDArray[np.float64]]:
    """Return, for each option of each segment, the least cost of a network that has it, ``(states, options)`` each."""
    costs = [
        np.where(segment.possible, getattr(segment, metric), np.inf).astype(np.float64) for segment in table.segments
    ]
    after = [np.zeros(1)]  # the least cost from each state to the end, of each segment, the last first
    for segment, own in zip(reversed(table.segments), reversed(costs), strict=True):
        after.append((own + after[-1][np.maximum(segment.next_state, 0)]).min(axis=1))
    found, before = [], np.zeros(1)
    for segment, own, rest in zip(table.segments, costs, reversed(after[:-1]), strict=True):
        here = before[:, None] + own
        found.append(here + rest[np.maximum(segment.next_state, 0)])
        reached = np.full(len(rest), np.inf)
        np.minimum.at(reached, segment.next_state[segment.possible], here[segment.possible])
        before = reached
    return found


def _parts(table: CostTable, inside: list[NDArray[np.bool_]]) -> Iterator[Place]:
    space = table.space
    for number, (mask, states) in enumerate(zip(inside, table.states, strict=True), start=1):
        roots = product(*(range(space.gene_sizes[gene]) for gene in space.segments[0])) if number == 1 else [()]
        own = product(*(range(space.gene_sizes[gene]) for gene in space.segments[number]))
        options = list(product(roots, own))
        for row, column in np.argwhere(mask).tolist():
            root, genes = options[column]
            state = states[row]
            modifiers = space.root(root)[1] if state is None else state.modifiers
            part = space.part(number, genes, modifiers)
            yield place_of(number, 0 if state is None else state.channels, part)
