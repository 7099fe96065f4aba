"""Predicted effects of every single change of a network."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.evaluate.cost.table import CostTable
from nas.evaluate.imagenet.measured_table import LATENCIES
from nas.evaluate.imagenet.prediction import REPORT, shipped_surrogate
from nas.evaluate.imagenet.skeleton import KINDS, Genes, gene_sizes, skeleton

LETTERS = {"expand": "e", "kernel": "k", "layers": "l", "se": "se"}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A network that differs from another in one choice.

    Attributes:
        edit: the changed choice, such as ``k5→k3 in stage 4``.
        genes: the neighbour's genotype.
        accuracy_change: predicted change of top-1, as a fraction, by the fit ``report``.
        macs_change: exact change of MACs.
        params_change: exact change of params.
        latency_change_ms: predicted change of latency in ms, by FPGA.
        extrapolated: whether the neighbour is outside the range of networks that the surrogate was fitted to.
    """

    edit: str
    genes: tuple[int, ...]
    accuracy_change: float
    macs_change: int
    params_change: int
    latency_change_ms: dict[str, float]
    extrapolated: bool


def neighbours(genes: tuple[int, ...]) -> list[Neighbour]:
    """Return all one-choice neighbours of a genotype of the skeleton, the highest predicted accuracy first."""
    edits, rows = [], [genes]
    for token, size in enumerate(gene_sizes()):
        for option in range(size):
            if option != genes[token]:
                edits.append(_edit(token, genes[token], option))
                rows.append((*genes[:token], option, *genes[token + 1 :]))
    batch: Genes = np.array(rows)
    surrogate = shipped_surrogate()
    accuracy = surrogate.accuracy(batch, REPORT)[0].astype(np.float64) / 100
    costs, speed = CostTable(skeleton()).costs(batch), surrogate.device(batch)
    latencies = {name: speed[f"{name}_latency"].astype(np.float64) for name in LATENCIES}
    far = surrogate.extrapolates(batch)
    found = [
        Neighbour(
            edit,
            rows[index],
            float(accuracy[index] - accuracy[0]),
            int(costs["macs"][index] - costs["macs"][0]),
            int(costs["params"][index] - costs["params"][0]),
            {name: float(values[index] - values[0]) for name, values in latencies.items()},
            bool(far[index]),
        )
        for index, edit in enumerate(edits, start=1)
    ]
    return sorted(found, key=lambda neighbour: -neighbour.accuracy_change)


def as_csv(found: Sequence[Neighbour]) -> str:
    """Return neighbours as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    changes = ["accuracy_change", "macs_change", "params_change"]
    writer.writerow(["edit", *changes, *(f"{name}_latency_change_ms" for name in LATENCIES), "extrapolated", "genes"])
    for item in found:
        row = [item.edit, f"{item.accuracy_change:.6f}", item.macs_change, item.params_change]
        speed = [f"{item.latency_change_ms[name]:.4f}" for name in LATENCIES]
        writer.writerow([*row, *speed, int(item.extrapolated), " ".join(map(str, item.genes))])
    return text.getvalue()


def _edit(token: int, before: int, after: int) -> str:
    options = skeleton().decisions[token].options
    kind = KINDS[token % len(KINDS)]
    place = f"in stage {token // len(KINDS) + 1}"
    if kind == "se":
        return f"{'+' if options[after] else '−'}SE {place}"
    return f"{LETTERS[kind]}{options[before]}→{LETTERS[kind]}{options[after]} {place}"
