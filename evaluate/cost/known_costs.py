"""Costs of an architecture that are known before training, for every kind of search space."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.user_code import describe
from nas.evaluate.cost.device import DeviceModel
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.cost.table import CostTable, can_be_tabulated
from nas.search_spaces.space import SearchSpace, decode
from nas.search_spaces.stage_table import StageTableSpace

Source = Callable[[Architecture], dict[str, float]]


class KnownCosts:
    """Metrics that are known before an architecture is trained. A call computes them once for each architecture.

    The first available source is used: the compiled table of a stage-table space (unless one stage alone has too many
    combinations of options for a table); the space's own ``costs(genes)``; arithmetic on the stage table of ``decode``;
    the module of ``build``, counted on the meta device at the space's ``resolution``. Without a source, no cost is
    known.

    Args:
        space: the search space.
        device: device model; the speed that it predicts is added.
        more: function that returns further known metrics of an architecture; they are added.

    Attributes:
        table: the compiled table; ``None`` if there is none.
    """

    def __init__(self, space: SearchSpace, device: DeviceModel | None = None, more: Source | None = None) -> None:
        self.space, self.device, self._more = space, device, more
        self.table: CostTable | None = None
        if isinstance(space, StageTableSpace) and can_be_tabulated(space):
            self.table = CostTable(space)
        self.builds_modules = not hasattr(space, "costs") and not hasattr(space, "decode") and hasattr(space, "build")
        self._known: dict[tuple[int, ...], dict[str, float]] = {}
        self._failed: dict[tuple[int, ...], str] = {}

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Return the metrics by name, for instance ``macs`` and ``params``.

        Raises:
            InputError: if the genotype does not decode to a network, or the space's own costs have the wrong shape.
        """
        genes = architecture.genes
        if genes in self._failed:
            raise InputError(self._failed[genes])
        if genes not in self._known:
            try:
                self._known[genes] = self._count(architecture)
            except InputError as error:
                self._failed[genes] = str(error)
                raise
        return self._known[genes]

    @property
    def affordable(self) -> int:
        """Approximate number of genotypes that ``columns`` can process in a fraction of a second."""
        if self.builds_modules:
            return 50
        vectorised = self._more is None and (self.table is not None or hasattr(self.space, "costs"))
        return 20_000 if vectorised else 2_000

    def columns(self, genes: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the metrics of genotypes ``(n, genes)`` by name, ``(n,)`` each.

        Costs that cannot be counted are ``nan``, or negative in the columns of a compiled table.
        """
        if self._more is not None or (self.table is None and not hasattr(self.space, "costs")):
            return self._counted_one_by_one(genes)
        if self.table is not None:
            known: dict[str, NDArray[Any]] = dict(self.table.costs(genes))
        else:
            try:
                known = self._own_columns(genes)
            except InputError:  # perhaps only one genotype is invalid
                return self._counted_one_by_one(genes)
        return {**known, **(self.device.costs(genes) if self.device else {})}

    def _own_columns(self, genes: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        where, found = f"space '{self.space.name}': costs(genes)", self.space.costs(genes)  # type: ignore[attr-defined]
        return {name: cost_column(where, name, column, len(genes)) for name, column in found.items()}

    def _counted_one_by_one(self, genes: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        rows: list[dict[str, float]] = []
        failed = False
        for row in genes.tolist():
            architecture = Architecture(self.space.name, tuple(row))
            try:  # only counting modules is slow enough to cache the result
                rows.append(self(architecture) if self.builds_modules else self._count(architecture))
            except InputError:
                rows.append({})
                failed = True
        names = dict.fromkeys([name for row in rows for name in row] or (["macs"] if failed else []))
        return {name: np.array([row.get(name, math.nan) for row in rows], dtype=np.float64) for name in names}

    def _count(self, architecture: Architecture) -> dict[str, float]:
        known = {} if self._more is None else self._more(architecture)
        known |= self._exact(architecture)
        if self.device is not None:
            predicted = self.device.costs(np.asarray([architecture.genes], dtype=np.int64))
            known |= {name: float(values[0]) for name, values in predicted.items()}
        return known

    def _exact(self, architecture: Architecture) -> dict[str, float]:
        if self.table is not None:
            return dict(self.table.cost(architecture.genes).metrics())
        own = getattr(self.space, "costs", None)
        if own is not None:
            columns = own(np.asarray([architecture.genes], dtype=np.int64))
            return {str(name): self._single(name, column) for name, column in columns.items()}
        network = decode(self.space, architecture)
        if network is not None:
            return dict(network_cost(network).metrics())
        if hasattr(self.space, "build"):
            from nas.evaluate.cost.module import module_cost

            build = self.space.build
            try:
                cost = module_cost(lambda: build(architecture), getattr(self.space, "resolution", None))
            except Exception as error:
                what = f"space '{self.space.name}': the module of genes {architecture.genes} cannot be counted"
                raise InputError(f"{what}: {describe(error)}") from error
            known: dict[str, float] = {"params": cost.params, "weight_bytes": cost.weight_bytes}
            return known | {"macs": cost.macs} if cost.macs else known
        return {}

    def _single(self, name: object, column: object) -> float:
        where = f"space '{self.space.name}': costs(genes)['{name}']"
        value: float = cost_column(where, name, column, 1)[0].item()
        if not math.isfinite(value) or (name in ("macs", "params") and value <= 0):
            expected = "a positive number" if name in ("macs", "params") else "a finite number"
            raise InputError(f"{where}: expected {expected}, got {value}")
        return value


def cost_column(where: str, name: object, column: object, count: int) -> NDArray[Any]:
    """Return one metric of a space's own costs as an array of numbers, ``(count,)``.

    Raises:
        InputError: if the name is not a string, or the column is not an array of real numbers of that shape. The
            message starts with ``where``.
    """
    if not isinstance(name, str):
        raise InputError(f"{where}: expected a string as the metric's name, got {name!r}")
    if name == "accuracy":
        raise InputError(f"{where}: accuracy is for the evaluator to measure; a cost needs another name")
    try:
        values = np.asarray(column)
    except Exception as error:
        raise InputError(f"{where}: expected an array of shape (n,): {describe(error)}") from error
    if values.shape != (count,):
        raise InputError(f"{where}: expected an array of shape (n,) = ({count},), got {values.shape}")
    if values.dtype.kind not in "iuf":
        raise InputError(f"{where}: expected real numbers, got {values.dtype} such as {values[0]!r:.50}")
    return values
