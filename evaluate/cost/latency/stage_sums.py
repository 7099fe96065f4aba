"""Sums of operator times for many genotypes at once."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.cost.latency.operators import Operator, operator_name, segments_of
from nas.search_spaces.stage_table import StageTableSpace


class StageSums:
    """A stage-table space compiled against a table of its operators' milliseconds.

    Args:
        space: the space.
        operators_ms: milliseconds by operator name.
    """

    def __init__(self, space: StageTableSpace, operators_ms: Mapping[str, float]) -> None:
        known: dict[Operator, float] = {}
        self._segments = []
        for segment in segments_of(space):
            rows = [
                [math.nan if operators is None else _sum(operators, operators_ms, known) for operators in row]
                for row in segment.operators
            ]
            sizes = tuple(space.gene_sizes[gene] for gene in segment.genes)
            self._segments.append((segment.genes, sizes, np.array(rows), np.array(segment.next_state)))

    def __call__(self, genes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sums in ms for genotypes ``(n, genes)``, ``(n,)``; NaN if an operator was not measured."""
        state = np.zeros(len(genes), dtype=np.int64)
        sums = np.zeros(len(genes))
        for indices, sizes, milliseconds, next_state in self._segments:
            option = np.zeros(len(genes), dtype=np.int64)
            for gene, size in zip(indices, sizes, strict=True):
                option = option * size + genes[:, gene]
            sums += milliseconds[state, option]
            state = next_state[state, option]
        return sums


def _sum(operators: tuple[Operator, ...], operators_ms: Mapping[str, float], known: dict[Operator, float]) -> float:
    total = 0.0
    for operator in operators:
        if operator not in known:
            known[operator] = operators_ms.get(operator_name(operator), math.nan)
        total += known[operator]
    return total
