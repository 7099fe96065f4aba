"""Made-up tables of measured networks, for tests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from nas.evaluate.cost.table import CostTable
from nas.evaluate.imagenet.measured_table import CHOICE_COLUMNS, DEVICE_COLUMNS
from nas.evaluate.imagenet.skeleton import gene_sizes, skeleton, thermometer

SHARED = Path(__file__).parents[4] / "shared" / "data" / "accel_nasbench"


def made_up_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Networks whose accuracy is a known sum over their choices, with a little noise."""
    generator = np.random.default_rng(seed)
    genes = generator.integers(0, gene_sizes(), size=(count, len(gene_sizes())))
    steps = thermometer(genes)
    costs = CostTable(skeleton()).costs(genes)
    top1 = 50 + steps @ np.linspace(0.05, 0.5, steps.shape[1]) + 0.05 * generator.standard_normal(count)
    rows = []
    for index, row in enumerate(genes.tolist()):
        values = (decision.options[gene] for decision, gene in zip(skeleton().decisions, row, strict=True))
        choices = {
            name: int(bool(value)) if name.startswith("se") else value
            for name, value in zip(CHOICE_COLUMNS, values, strict=True)
        }
        milliseconds = 1 + float(costs["macs"][index]) / 1e8
        speed = {name: 1000 / milliseconds if "throughput" in name else milliseconds for name in DEVICE_COLUMNS}
        split = "val" if index % 5 == 0 else "train"
        rows.append(
            {
                "id": index,
                "split": split,
                **choices,
                "top1": top1[index],
                "params_m": costs["params"][index] / 1e6,
                **speed,
            }
        )
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
