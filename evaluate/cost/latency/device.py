"""A latency table as a device of the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.cost.latency.stage_sums import StageSums
from nas.evaluate.cost.latency.table import LatencyTable, read_table
from nas.evaluate.cost.table import can_be_tabulated
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace


class TableDevice:
    """Predicts ``latency_ms`` of one image batch from a table of measured operators.

    Args:
        table: what was measured.
        space: whose genotypes are asked about; it needs stage tables.
        path: what people typed.
    """

    metrics: tuple[str, ...] = ("latency_ms",)

    def __init__(self, table: LatencyTable, space: SearchSpace, path: Path) -> None:
        self.table, self.path, self.name = table, path, path.name
        decode = getattr(space, "decode", None)
        if decode is None:
            raise InputError(
                f"--device {path.name}: space '{space.name}' has no stage tables, so no operators to add up"
            )
        self._space, self._decode = space, decode
        self._sums: StageSums | None = None
        if isinstance(space, StageTableSpace) and can_be_tabulated(space):
            self._sums = StageSums(space, table.operators_ms)
        self.note = table_note(table)

    @classmethod
    def read(cls, path: Path, space: SearchSpace, max_error: float) -> TableDevice:
        """Read a table that proved accurate enough.

        Raises:
            InputError: if it did not, is no table, or is not of this space.
        """
        table = read_table(path)
        if table.validation.mape > max_error:
            raise InputError(
                f"--device {path}: on {len(table.validation.networks)} whole networks its predictions were off by "
                f"{table.validation.mape:.1%} on average, more than {max_error:.0%}. Build it again on a quiet "
                f"machine, or accept that: --set objective.max_latency_error={table.validation.mape + 0.005:.2f}"
            )
        device = cls(table, space, path)
        device.costs(np.zeros((1, len(space.gene_sizes)), dtype=np.int64))
        return device

    def costs(self, genes: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return ``latency_ms`` of each genotype, ``(n,)``.

        Raises:
            InputError: if a network has an operator that was not measured.
        """
        if self._sums is not None:
            milliseconds = self.table.intercept_ms + self.table.scale * self._sums(genes)
            if np.isfinite(milliseconds).all():
                return {"latency_ms": milliseconds}
        rows = (Architecture(self._space.name, tuple(row)) for row in np.asarray(genes).tolist())
        return {"latency_ms": np.array([self.table.predict_ms(self._decode(row)) for row in rows])}


def table_note(table: LatencyTable) -> str:
    """Say what a table's predictions are of, and how far off they were."""
    threads = f"{table.threads} thread{'s' if table.threads > 1 else ''}"
    return (
        f"{table.device} by {table.backend}, {threads}, batch {table.batch}; mean error on "
        f"{len(table.validation.networks)} other networks {table.validation.mape:.1%}"
    )
