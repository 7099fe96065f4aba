"""The device model that predicts latency from a latency table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.cores import processor
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
        table: the latency table.
        space: space of the genotypes; it needs stage tables.
        path: path of the table, as the user typed it.
    """

    metrics: tuple[str, ...] = ("latency_ms",)

    def __init__(self, table: LatencyTable, space: SearchSpace, path: Path) -> None:
        self.table, self.path, self.name = table, path, path.name
        decode = getattr(space, "decode", None)
        if decode is None:
            raise InputError(
                f"--device {path.name}: space '{space.name}' has no stage tables, which a latency table needs"
            )
        self._space, self._decode = space, decode
        self._sums: StageSums | None = None
        if isinstance(space, StageTableSpace) and can_be_tabulated(space):
            self._sums = StageSums(space, table.operators_ms)
        self.note = table_note(table)

    @classmethod
    def read(cls, path: Path, space: SearchSpace, max_error: float) -> TableDevice:
        """Read a table and check that its mean error is at most ``max_error``.

        Raises:
            InputError: if the error is larger, the file holds no table, or the table does not cover this space.
        """
        table = read_table(path)
        if table.validation.mape > max_error:
            raise InputError(
                f"--device {path}: on {len(table.validation.networks)} whole networks its predictions were off by "
                f"{table.validation.mape:.1%} on average, more than {max_error:.0%}. Build it again on a quiet "
                f"machine, or accept this error: --set objective.max_latency_error={table.validation.mape + 0.005:.2f}"
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
    """Return a description of the table's device and settings, and of its mean error."""
    threads = f"{table.threads} thread{'s' if table.threads > 1 else ''}"
    elsewhere = other_machine(table)
    measured = f"; measured on another machine ({elsewhere}), not on this one ({processor()})" if elsewhere else ""
    return (
        f"{table.device} by {table.backend}, {threads}, batch {table.batch}; mean error on "
        f"{len(table.validation.networks)} other networks {table.validation.mape:.1%}{measured}"
    )


def other_machine(table: LatencyTable) -> str:
    """Return the processor (for GPU tables: the GPU) that a table was measured on; empty if it is this machine's."""
    if table.device == "cuda":
        import torch

        gpu = table.machine.get("gpu", "an unknown GPU")
        return "" if torch.cuda.is_available() and torch.cuda.get_device_name() == gpu else gpu
    name = table.machine.get("processor", "an unknown processor")
    return "" if name == processor() else name
