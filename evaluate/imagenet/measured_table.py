"""Tables of measured networks: choices of each stage, ImageNet accuracy, speed on accelerators.

The columns are ``e1..e7`` (expand), ``k1..k7`` (kernel), ``l1..l7`` (layers), ``se1..se7`` (0 or 1), any of
``COLUMNS``, and optionally ``split`` and ``params_m``. Missing values are empty cells.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.evaluate.cost.table import CostTable
from nas.evaluate.imagenet.skeleton import STAGES, Genes, skeleton

ACCURACY = "top1"  # percent, after the benchmark's 16 epochs
THROUGHPUTS = ("a100", "3090", "tpuv2", "tpuv3", "zcu102", "vck190")  # images a second
LATENCIES = ("zcu102", "vck190")  # ms
DEVICE_COLUMNS = (*(f"{name}_throughput" for name in THROUGHPUTS), *(f"{name}_latency" for name in LATENCIES))
COLUMNS = (ACCURACY, *DEVICE_COLUMNS)
LETTERS = ("e", "k", "l", "se")
CHOICE_COLUMNS = tuple(f"{letter}{stage}" for stage in range(1, STAGES + 1) for letter in LETTERS)
_HALF_A_STEP = 5e-7  # params_m is printed in millions with six decimals


@dataclass(frozen=True)
class MeasuredTable:
    """Measured networks.

    Attributes:
        genes: ``(n, 28)``.
        columns: values by column name, ``(n,)``; NaN if a value is missing.
        split: split of each row (``train``, ``val``, ...), ``(n,)``.
    """

    genes: Genes
    columns: Mapping[str, NDArray[np.float64]]
    split: NDArray[np.str_]

    def rows(self, chosen: NDArray[np.bool_] | Genes) -> MeasuredTable:
        """Return a table of the chosen rows."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return MeasuredTable(self.genes[chosen], columns, self.split[chosen])

    def of(self, split: str) -> MeasuredTable:
        """Return the rows of one split.

        Raises:
            InputError: if the split has no rows. The message names the splits of the table.
        """
        if not (self.split == split).any():
            known = ", ".join(sorted(set(self.split.tolist()) - {""})) or "none"
            raise InputError(f"--split: expected one of the file's splits ({known}), got '{split}'")
        return self.rows(self.split == split)

    def merged(self) -> MeasuredTable:
        """Return the table with rows of one genotype averaged, in the order of the genotypes."""
        genes, place = np.unique(self.genes, axis=0, return_inverse=True)
        first = np.unique(place, return_index=True)[1]
        columns = {name: _means(values, place, len(genes)) for name, values in self.columns.items()}
        return MeasuredTable(genes, columns, self.split[first])


def read_measured(path: Path) -> MeasuredTable:
    """Read a table from CSV.

    Raises:
        InputError: if a value is wrong or a column is missing. The message names the line and the column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            header, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--data: '{path}' cannot be read as CSV: {error}") from None
    if missing := [name for name in CHOICE_COLUMNS if name not in header]:
        raise InputError(
            f"{path}: expected columns e1..e7, k1..k7, l1..l7, se1..se7; missing: {', '.join(missing[:8])}"
        )
    if not rows:
        raise InputError(f"{path}: expected at least one network, got only a header")
    options = [decision.options for decision in skeleton().decisions]
    genes = np.array(
        [
            [_option(path, line, name, row, options[token]) for token, name in enumerate(CHOICE_COLUMNS)]
            for line, row in enumerate(rows, start=2)
        ]
    )
    columns = {
        name: np.array([_figure(path, line, name, row[name]) for line, row in enumerate(rows, start=2)])
        for name in COLUMNS
        if name in header
    }
    if not columns:
        raise InputError(f"{path}: expected at least one of the columns {', '.join(COLUMNS)}")
    if "params_m" in header:
        _check_params(
            path, genes, [_figure(path, line, "params_m", row["params_m"]) for line, row in enumerate(rows, 2)]
        )
    return MeasuredTable(genes, columns, np.array([row.get("split") or "" for row in rows]))


def _option(path: Path, line: int, name: str, row: Mapping[str, str], options: Sequence[object]) -> int:
    values = [1 if option else 0 for option in options] if name.startswith("se") else list(options)
    try:
        return values.index(int(row[name]))
    except (TypeError, ValueError):
        known = ", ".join(map(str, values))
        raise InputError(f"{path}, line {line}: {name}: expected one of {known}, got {row[name]!r}") from None


def _figure(path: Path, line: int, name: str, text: str | None) -> float:
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not (math.isnan(value) or 0 < value < math.inf):
        raise InputError(f"{path}, line {line}: {name}: expected a positive number or nothing, got {text!r}")
    return value


def _check_params(path: Path, genes: Genes, params_m: Iterable[float]) -> None:
    """Check that the table's choices are encoded as in this package: their exact params have to match the table's."""
    stated = np.array(list(params_m))
    counted = CostTable(skeleton()).costs(genes)["params"] / 1e6
    wrong = np.flatnonzero(np.abs(stated - counted) > _HALF_A_STEP)
    if len(wrong):
        line = int(wrong[0]) + 2
        raise InputError(
            f"{path}, line {line}: params_m: these choices on EfficientNet-B0's skeleton have {counted[wrong[0]]:.6f} "
            f"million params, the file says {stated[wrong[0]]:.6f} ({len(wrong)} rows differ)"
        )


def _means(values: NDArray[np.float64], place: Genes, count: int) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    sums = np.bincount(place[known], values[known], minlength=count)
    counts = np.bincount(place[known], minlength=count)
    return np.asarray(np.divide(sums, counts, out=np.full(count, np.nan), where=counts > 0))
