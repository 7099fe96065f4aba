"""How far a proxy's accuracy can be trusted: does it rank networks as longer training does, and how much is chance?

Networks are trained by the proxy from several seeds, and longer. Kendall's tau compares rankings (1: the same, 0: no
relation). The spread of one network's trainings from seed to seed gives the smallest difference that means anything.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.callback import SILENT, Callback
from nas.core.errors import WorkError
from nas.core.records import Architecture
from nas.core.statistics import measure_noise
from nas.evaluate.contract import Job
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, digest, outcome
from nas.search.assemble import Setup
from nas.search_spaces import space as spaces

JOURNAL, REPORT = "trust.jsonl", "trust.json"
RESAMPLED = 1000
SCHEDULES = ("proxy", "longer")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which trainings a report of trust is made from.

    Attributes:
        networks: genotypes.
        epochs: of the proxy.
        longer_epochs: of the longer schedule.
        seeds: trainings of each network by the proxy.
        longer_seeds: trainings of each network by the longer schedule.
    """

    networks: tuple[Architecture, ...]
    epochs: int
    longer_epochs: int
    seeds: int = 2
    longer_seeds: int = 2

    def trainings(self, setup: Setup) -> list[Training]:
        """Return the trainings of both schedules, one seed of all networks after the other."""
        found: list[Training] = []
        sizes = {"proxy": (self.epochs, self.seeds), "longer": (self.longer_epochs, self.longer_seeds)}
        for kind, (epochs, seeds) in sizes.items():
            for seed in range(seeds):
                for place, architecture in enumerate(self.networks):
                    sequence = np.random.SeedSequence([setup.config.seed, 5, SCHEDULES.index(kind), seed, place])
                    job = Job(
                        len(found),
                        architecture,
                        spaces.decode(setup.space, architecture),
                        seed=int(sequence.generate_state(1)[0]),
                        cycles=(epochs,),
                        time_limit_factor=epochs / self.epochs,
                    )
                    found.append(Training({"kind": kind, "genes": list(architecture.genes)}, job))
        return found


@dataclass(frozen=True, slots=True)
class Trust:
    """What the trainings say.

    Attributes:
        networks: how many were trained by both schedules.
        tau: Kendall's tau between one proxy training and the longer schedule's mean, in the mean over proxy seeds.
        tau_low: lower end of its 95% interval, by resampling networks.
        tau_high: upper end.
        tau_of_means: the same with the mean of all proxy trainings of a network.
        tau_between_seeds: between two proxy trainings of the same networks; ``None`` with one seed.
        tau_longer_seeds: between two longer trainings of the same networks; ``None`` with one seed.
        std: standard deviation of a proxy accuracy from seed to seed; ``None`` with one seed.
        longer_std: of the longer schedule's.
        smallest_difference: of two proxy trainings that chance exceeds in one of twenty cases.
        accuracy: mean of the proxy's.
        longer_accuracy: mean of the longer schedule's.
        best_kept: of the longer schedule's best third, the share that the proxy puts in its best third.
        seconds: mean of a proxy training.
        longer_seconds: mean of a longer one.
        differ: whether the networks' accuracies differ at all, by both schedules; if not, nothing above says anything.
    """

    networks: int
    tau: float
    tau_low: float
    tau_high: float
    tau_of_means: float
    tau_between_seeds: float | None
    tau_longer_seeds: float | None
    std: float | None
    longer_std: float | None
    smallest_difference: float | None
    accuracy: float
    longer_accuracy: float
    best_kept: float
    seconds: float
    longer_seconds: float
    differ: bool

    def as_json(self) -> dict[str, Any]:
        """Return plain values, for ``trust.json``."""
        return asdict(self)


def draw_networks(setup: Setup, count: int) -> tuple[Architecture, ...]:
    """Return up to ``count`` different networks of the run's domain, drawn by its seed."""
    generator = np.random.default_rng(np.random.SeedSequence([setup.config.seed, 6]))
    found: dict[Any, Architecture] = {}
    for _ in range(100 * count):
        if len(found) == count:
            break
        if (drawn := setup.domain.sample(generator)) is not None:
            found.setdefault(setup.domain.key(drawn), drawn)
    return tuple(found.values())


def measure_trust(setup: Setup, plan: Plan, folder: Path, pool: PoolStarter, callback: Callback = SILENT) -> Trust:
    """Run the trainings that are not in ``folder`` yet, and judge.

    Raises:
        WorkError: if fewer than three networks could be trained by both schedules, or nothing can be written.
    """
    journal = TrainingJournal(folder / JOURNAL, ["kind", "genes"], _settings_digest(setup))

    def ended(row: Row, left: int) -> None:
        callback.message(
            f"{row['kind']:<6} {row['epochs']} epochs  {outcome(row)}  ({row['seconds']:.1f} s, {left} to go)"
        )

    rows = journal.run(plan.trainings(setup), pool, ended)
    return judge([row for row in rows if row["accuracy"] is not None])


def read_trust(folder: Path) -> dict[str, Any] | None:
    """Return the report of a folder, ``None`` if there is none that can be read."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(report, dict) or "tau" not in report:
        return None
    return {name.replace("deviation", "std"): value for name, value in report.items()}  # as before 0.1.0


def judge(rows: Sequence[Mapping[str, Any]]) -> Trust:
    """Compare the schedules.

    Args:
        rows: trainings with ``kind`` (``proxy`` or ``longer``), ``genes``, ``accuracy`` and ``seconds``.

    Raises:
        WorkError: if fewer than three networks were trained by both.
    """
    found: dict[str, dict[tuple[int, ...], list[float]]] = {kind: {} for kind in SCHEDULES}
    for row in rows:
        found[row["kind"]].setdefault(tuple(row["genes"]), []).append(float(row["accuracy"]))
    both = [genes for genes in found["proxy"] if genes in found["longer"]]
    if len(both) < 3:
        raise WorkError(f"only {len(both)} networks were trained by both schedules; a ranking needs at least 3")
    proxy = [found["proxy"][genes] for genes in both]
    longer = [found["longer"][genes] for genes in both]
    means = np.array([statistics.fmean(own) for own in longer])
    columns = _columns(proxy)
    generator = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLED):
        drawn = generator.integers(len(both), size=len(both))
        if len({float(means[place]) for place in drawn}) > 1:
            resampled.append(statistics.fmean(kendall(column[drawn], means[drawn]) for column in columns))
    low, high = np.quantile(resampled, [0.025, 0.975]) if resampled else (-1.0, 1.0)
    noise, longer_noise = measure_noise(proxy), measure_noise(longer)
    proxy_means = np.array([statistics.fmean(own) for own in proxy])
    seconds = {kind: [float(row["seconds"]) for row in rows if row["kind"] == kind] for kind in SCHEDULES}
    return Trust(
        networks=len(both),
        tau=statistics.fmean(kendall(column, means) for column in columns),
        tau_low=float(low),
        tau_high=float(high),
        tau_of_means=kendall(proxy_means, means),
        tau_between_seeds=_between(columns),
        tau_longer_seeds=_between(_columns(longer)),
        std=None if noise is None else noise.std,
        longer_std=None if longer_noise is None else longer_noise.std,
        smallest_difference=None if noise is None else noise.smallest_difference(),
        accuracy=float(proxy_means.mean()),
        longer_accuracy=float(means.mean()),
        best_kept=_best_kept(proxy_means, means),
        seconds=statistics.fmean(seconds["proxy"]),
        longer_seconds=statistics.fmean(seconds["longer"]),
        differ=bool(np.ptp(proxy_means) > 0 and np.ptp(means) > 0),
    )


def kendall(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Return Kendall's tau-b, which takes ties into account; 0 where one side is all the same."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(first, second).statistic)
    return tau if np.isfinite(tau) else 0.0


def plan_from_run(setup: Setup, plan: Plan, ranked: Sequence[Architecture]) -> Plan:
    """Return a plan of a run's own networks, evenly spread over its ranking, as many as it has."""
    count = len(plan.networks)
    places = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int))
    own = [ranked[place] for place in places]
    keys = {setup.domain.key(architecture) for architecture in own}
    drawn = [architecture for architecture in plan.networks if setup.domain.key(architecture) not in keys]
    return replace(plan, networks=tuple([*own, *drawn][:count]))


def _settings_digest(setup: Setup) -> str:
    """Return what stands for all that decides a training beside its network, seed and epochs."""
    config = setup.config
    options = {key: value for key, value in config.evaluator_options.items() if key != "epochs"}
    data = config.model_dump(mode="json")["data"]
    return digest(setup.space.name, config.seed, config.evaluator["name"], options, data)


def _columns(groups: Sequence[Sequence[float]]) -> list[np.ndarray[Any, Any]]:
    """Return one column for each seed that every network was trained with."""
    return [np.array([own[seed] for own in groups]) for seed in range(min(len(own) for own in groups))]


def _between(columns: Sequence[np.ndarray[Any, Any]]) -> float | None:
    pairs = list(itertools.combinations(columns, 2))
    return statistics.fmean(kendall(first, second) for first, second in pairs) if pairs else None


def _best_kept(proxy: np.ndarray[Any, Any], longer: np.ndarray[Any, Any]) -> float:
    count, generator, shares = max(1, len(proxy) // 3), np.random.default_rng(0), []
    for _ in range(RESAMPLED // 10):  # networks that are equal come in any order
        thirds = []
        for accuracies in (proxy, longer):
            order = generator.permutation(len(accuracies))
            thirds.append(set(order[np.argsort(-accuracies[order], kind="stable")[:count]].tolist()))
        shares.append(len(thirds[0] & thirds[1]) / count)
    return statistics.fmean(shares)
