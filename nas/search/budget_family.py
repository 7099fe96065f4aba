"""The results of searches for several budgets: a family of networks, beside compound scaling, and one Pareto front."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.files import write_whole
from nas.core.units import short_quantity
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.objective.pareto import pareto_front
from nas.scale.compound import Rule
from nas.scale.family import Member, make_family, write_family
from nas.scale.find_network import find_network
from nas.scale.to_budget import macs_ceiling, scale_to_budget
from nas.search.result import Result
from nas.search.run_directory import read_trials
from nas.search.shared_weights import weights_of_front
from nas.search_spaces.network import Network

FAMILY, FRONT, COMPOUND = "family.csv", "front.csv", "compound"


@dataclass(frozen=True)
class FamilyMember:
    """A network of the family.

    Attributes:
        name: its name.
        kind: ``search`` for the baseline of a search; ``compound`` for one that is scaled from the smallest baseline.
        target: its budget in MACs.
        path: the run's directory, or the network's YAML file.
        width: factor on the channels of the smallest baseline; ``None`` for a search.
        depth: factor on its layers; ``None`` for a search.
        resolution: deployment resolution in pixels.
        macs: exact MACs.
        params: number of parameters.
        accuracy: validation accuracy with inherited weights, a fraction; ``None`` for compound scaling, whose networks
            have no weights.
        test_accuracy: test accuracy with inherited weights, a fraction; ``None`` as for ``accuracy``.
    """

    name: str
    kind: str
    target: float
    path: str
    width: float | None
    depth: float | None
    resolution: int
    macs: int
    params: int
    accuracy: float | None = None
    test_accuracy: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the member as plain values by column."""
        return dict(vars(self))


def family_of(folder: Path, runs: Mapping[float, Path]) -> list[FamilyMember]:
    """Return the baselines of finished searches, each beside the compound scaling of the smallest to its budget.

    The networks by compound scaling are written as YAML files into ``compound``.

    Args:
        folder: the folder of the searches.
        runs: the directory of each run by its target in MACs.

    Raises:
        InputError: if a search has no result.
        WorkError: if a file cannot be written.
    """
    found = []
    base: Network | None = None
    for target, path in sorted(runs.items()):
        result = Result.read(path)
        if result is None:
            raise InputError(f"'{path}' has no result yet; go on with: nas search --resume {folder}")
        network = find_network(str(path))
        found.append(_searched(network, path, target, result))
        if base is None:
            base = network
        elif (member := _scaled(base, target)) is not None:
            (written,) = write_family(folder / COMPOUND, [member])
            row, scaling = member.row(), member.scaling
            costs = row["resolution"], row["macs"], row["params"]
            found.append(
                FamilyMember(row["name"], "compound", target, str(written), scaling.width, scaling.depth, *costs)
            )
    return found


def dominated(members: Sequence[FamilyMember]) -> list[tuple[FamilyMember, FamilyMember]]:
    """Return the networks of searches that one with fewer MACs surpasses, each with the best of these."""
    known = [one for one in members if one.accuracy is not None]
    found = []
    for one in known:
        better = [other for other in known if other.macs < one.macs and (other.accuracy or 0) > (one.accuracy or 0)]
        if better:
            found.append((one, max(better, key=lambda other: other.accuracy or 0)))
    return found


def write_tables(folder: Path, members: Sequence[FamilyMember], runs: Mapping[float, Path]) -> list[Path]:
    """Write ``family.csv``, and ``front.csv``: the Pareto front of all runs together, with the files of its weights.

    Returns:
        The files.

    Raises:
        WorkError: if one cannot be written.
    """
    rows = [member.row() for member in members]
    tables = {FAMILY: rows, FRONT: _front(runs)}
    for name, table in tables.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        write_whole(folder / name, text.getvalue())
    return [folder / name for name in tables]


def _searched(network: Network, path: Path, target: float, result: Result) -> FamilyMember:
    cost = network_cost(network)
    return FamilyMember(
        network.name,
        "search",
        target,
        str(path),
        None,
        None,
        network.resolution,
        cost.macs,
        cost.params,
        result.accuracy,
        result.test_accuracy,
    )


def _scaled(base: Network, target: float) -> Member | None:
    """Return a baseline scaled to a budget; ``None`` if compound scaling does not reach it."""
    text, rule = short_quantity(target), Rule()
    try:
        scaling = scale_to_budget(base, [macs_ceiling(target, text)], rule)
        return make_family(base, [scaling], rule)[0]
    except InputError:
        return None


def _front(runs: Mapping[float, Path]) -> list[dict[str, Any]]:
    """Return the front of all trials of all runs; each network on it is on the front of its own run, with weights."""
    known = []
    for target, path in sorted(runs.items()):
        result, trials = Result.read(path), {trial.number: trial for trial in read_trials(path)}
        assert result is not None
        front = [trials[number] for number in result.front]
        files = weights_of_front(result.number, front)
        known += [(target, path, files, trial) for trial in front]
    rows = []
    for index in pareto_front([trial.metrics for *_, trial in known]):
        target, path, files, trial = known[index]
        metrics = {name: trial.metrics[name] for name in ("accuracy", "macs", "params")}
        genes = " ".join(map(str, trial.architecture.genes))
        weights = f"{path.name}/{files[trial.number]}"
        rows.append(
            {"budget": short_quantity(target), "number": trial.number, **metrics, "weights": weights, "genes": genes}
        )
    return rows
