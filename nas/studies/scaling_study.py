"""Study of compound scaling: depth, width or resolution alone against all three, at equal MACs and settings.

The paper compares them for EfficientNet-B0 at about four times its MACs (arXiv 1905.11946, Table 7 and Figure 8).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.callback import SILENT, Callback
from nas.core.errors import InputError
from nas.core.figures import new_figure, own_style, write_figure
from nas.core.records import Architecture
from nas.core.statistics import Noise, measure_noise
from nas.evaluate.contract import Job
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, digest, outcome
from nas.scale.compound import LARGEST_FACTOR, Rule, Scaling, scale
from nas.scale.to_budget import macs_ceiling, scale_to_budget
from nas.search.config import RunConfig
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_dict

JOURNAL, REPORT = "study.jsonl", "study.json"
DIMENSIONS = ("depth", "width", "resolution", "compound")
_BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class StudyMember:
    """A network of the study.

    Attributes:
        dimension: one of ``DIMENSIONS``, or ``baseline``.
        budget: the multiple of the baseline's MACs that it was scaled to.
        scaling: how it differs from the baseline.
        network: its stage table.
        macs: its exact MACs.
    """

    dimension: str
    budget: float
    scaling: Scaling
    network: Network
    macs: int


@dataclass(frozen=True)
class Study:
    """The results of the trainings.

    Attributes:
        members: the networks, the baseline first.
        accuracies: accuracies of each member's trainings that did not fail, fractions.
        noise: noise of one training from seed to seed; ``None`` with one seed.
    """

    members: tuple[StudyMember, ...]
    accuracies: tuple[tuple[float, ...], ...]
    noise: Noise | None

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each member, as plain values."""
        baseline = self.members[0].macs
        return [
            {
                "dimension": one.dimension,
                "budget": one.budget,
                "depth": one.scaling.depth,
                "width": one.scaling.width,
                "resolution": one.network.resolution,
                "macs": one.macs,
                "macs_ratio": one.macs / baseline,
                "accuracies": list(own),
                "accuracy": statistics.fmean(own) if own else None,
            }
            for one, own in zip(self.members, self.accuracies, strict=True)
        ]


def make_members(baseline: Network, budgets: Sequence[float], rule: Rule) -> tuple[StudyMember, ...]:
    """Scale a baseline in each dimension to each multiple of its MACs, as near as the rounding of sizes allows.

    Raises:
        InputError: if a budget is not above 1, or is given twice.
    """
    if not budgets or min(budgets) <= 1 or len(set(budgets)) < len(budgets):
        raise InputError(f"--budgets: expected different multiples above 1, such as 2,4, got {list(budgets)}")
    before = network_cost(baseline).macs
    found = [StudyMember(_BASELINE, 1.0, Scaling(baseline.name), baseline, before)]
    for budget in budgets:
        for dimension in DIMENSIONS:
            scaling = _scaling(baseline, dimension, budget * before, rule)
            name = f"{baseline.name}_{dimension}_x{budget:g}"
            network = replace(scale(baseline, scaling), name=name)
            found.append(StudyMember(dimension, budget, scaling, network, network_cost(network).macs))
    return tuple(found)


def run_study(
    members: Sequence[StudyMember],
    seeds: int,
    seed: int,
    folder: Path,
    of: str,
    pool: PoolStarter,
    images: str | None = None,
    callback: Callback = SILENT,
) -> Study:
    """Train every member with every seed, and compare. Trainings in the folder's journal are not repeated.

    Args:
        members: the networks, the baseline first.
        seeds: number of trainings of each member.
        seed: seed from which the seeds of all trainings are derived.
        folder: folder of the journal.
        of: digest of everything that decides the trainings besides their seeds (see ``settings_digest``); journal lines
            with another digest are ignored.
        pool: returns the workers.
        images: digest of the images and their split; journal lines of other images are ignored.
        callback: receives a message after each training.

    Raises:
        WorkError: if the journal cannot be written, or the images are gone.
    """
    journal = TrainingJournal(folder / JOURNAL, ["member"], of, images)
    trainings = _trainings(members, seeds, seed)

    def ended(row: Row, left: int) -> None:
        callback.message(f"{row['member']}  {outcome(row)}  ({row['seconds']:.1f} s, {left} to go)")

    groups: dict[str, list[float]] = {_key(one): [] for one in members}
    for row in journal.run(trainings, pool, ended):
        if row["accuracy"] is not None:
            groups[row["member"]].append(row["accuracy"])
    accuracies = tuple(tuple(groups[_key(one)]) for one in members)
    return Study(tuple(members), accuracies, measure_noise(accuracies))


@own_style()
def draw_study(study: Study, path: Path) -> None:
    """Draw accuracy over MACs, with one line for each dimension and the standard errors (as in the paper's Figure 8).

    Raises:
        WorkError: if it cannot be written.
    """
    figure, axes = new_figure(1, 1, size=(7, 4.5))
    rows = study.rows()
    start = rows[0]
    for dimension, marker in zip(DIMENSIONS, "svo*", strict=True):
        own = [row for row in rows if row["dimension"] in (_BASELINE, dimension) and row["accuracy"] is not None]
        macs, means = [row["macs"] / 1e6 for row in own], [100 * row["accuracy"] for row in own]
        noise = None
        if study.noise is not None:
            noise = [100 * study.noise.std / math.sqrt(len(row["accuracies"])) for row in own]
        axes.errorbar(macs, means, yerr=noise, marker=marker, capsize=3, label=f"{dimension}", markersize=7)
    axes.set(xscale="log", xlabel="MACs, millions", ylabel="validation accuracy, %")
    axes.set_title(f"Scaling {study.members[0].network.name} from {start['macs'] / 1e6:,.3g}M MACs")
    axes.set_xticks(
        sorted({round(row["macs"] / 1e6, 1) for row in rows if row["dimension"] in (_BASELINE, "compound")})
    )
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, title="± standard error" if study.noise else None)
    write_figure(path, figure)


def settings_digest(config: RunConfig, members: Sequence[StudyMember]) -> str:
    """Return a digest of everything that decides the trainings besides their seeds: settings, images and networks."""
    tables = [network_to_dict(member.network) for member in members]
    return digest(config.seed, config.evaluator, config.model_dump(mode="json")["data"], tables)


def _trainings(members: Sequence[StudyMember], seeds: int, seed: int) -> list[Training]:
    """Return the trainings, ordered by seed and then by member.

    In this order, an interrupted study has trained all members about equally often.
    """
    found: list[Training] = []
    for number in range(seeds):
        for place, one in enumerate(members):
            own = int(np.random.SeedSequence([seed, 9, number, place]).generate_state(1)[0])
            job = Job(len(found), Architecture("study", (place, number)), one.network, own)
            found.append(Training({"member": _key(one)}, job))
    return found


def _key(member: StudyMember) -> str:
    return member.dimension if member.dimension == _BASELINE else f"{member.dimension} x{member.budget:g}"


def _scaling(baseline: Network, dimension: str, macs: float, rule: Rule) -> Scaling:
    """Return the scaling in one dimension whose exact MACs are nearest to ``macs``."""
    if dimension == "compound":
        found = scale_to_budget(baseline, [macs_ceiling(macs, "x")], rule)
        return replace(found, dropout_rise=0.0)  # every dimension has the baseline's regularisation
    makers: dict[str, Callable[[float], Scaling]] = {
        "depth": lambda factor: Scaling("x", depth=factor),
        "width": lambda factor: Scaling("x", width=factor),
        "resolution": lambda factor: Scaling("x", resolution=round(baseline.resolution * factor)),
    }
    make = makers[dimension]

    def cost(factor: float) -> int:
        return network_cost(scale(baseline, make(factor))).macs

    low, high = 1.0, 2.0
    while cost(high) < macs:
        high = 2 * high
        if high > LARGEST_FACTOR:
            raise InputError(f"--budgets: '{baseline.name}' cannot be scaled to {macs:,.4g} MACs by {dimension} alone")
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) < macs else (low, middle)
    return make(min(low, high, key=lambda factor: abs(math.log(cost(factor) / macs))))
