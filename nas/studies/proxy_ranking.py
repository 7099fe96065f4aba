"""The reliability of a proxy: does it rank networks as longer training does, and how large is its noise?

Networks are trained with the proxy's schedule and with a longer one, each with several seeds. Kendall's tau compares
rankings (1: the same, 0: no relation). The standard deviation of a network's trainings from seed to seed gives the
smallest significant difference.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.callback import SILENT, Callback
from nas.core.documents import read_mapping
from nas.core.errors import WorkError
from nas.core.records import Architecture
from nas.core.statistics import measure_noise
from nas.evaluate.contract import Job
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, digest, outcome
from nas.search.assemble import Setup
from nas.search_spaces import space as spaces

JOURNAL, REPORT = "trust.jsonl", "trust.json"
_RESAMPLED = 1000
_SCHEDULES = ("proxy", "longer")


@dataclass(frozen=True, slots=True)
class Plan:
    """The trainings that a trust report is made from.

    Attributes:
        networks: the genotypes that are trained.
        epochs: epochs of the proxy's schedule.
        longer_epochs: epochs of the longer schedule.
        seeds: number of trainings of each network with the proxy's schedule.
        longer_seeds: number of trainings of each network with the longer schedule.
    """

    networks: tuple[Architecture, ...]
    epochs: int
    longer_epochs: int
    seeds: int = 2
    longer_seeds: int = 2

    def trainings(self, setup: Setup) -> list[Training]:
        """Return the trainings of both schedules, ordered by schedule, then by seed, then by network."""
        found: list[Training] = []
        sizes = {"proxy": (self.epochs, self.seeds), "longer": (self.longer_epochs, self.longer_seeds)}
        for kind, (epochs, seeds) in sizes.items():
            for seed in range(seeds):
                for place, architecture in enumerate(self.networks):
                    sequence = np.random.SeedSequence([setup.config.seed, 5, _SCHEDULES.index(kind), seed, place])
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
    """The statistics of the trainings.

    Attributes:
        networks: number of networks that were trained with both schedules.
        tau: Kendall's tau between one proxy training and the longer schedule's mean, averaged over proxy seeds.
        tau_low: lower end of its 95% interval, by resampling networks.
        tau_high: upper end of that interval.
        tau_of_means: Kendall's tau between the means of each network's proxy trainings and of its longer trainings.
        tau_between_seeds: Kendall's tau between two proxy trainings of the same networks; ``None`` with one seed.
        tau_longer_seeds: Kendall's tau between two longer trainings of the same networks; ``None`` with one seed.
        std: standard deviation of a proxy accuracy from seed to seed; ``None`` with one seed.
        longer_std: the same for the longer schedule.
        smallest_difference: difference of two proxy accuracies that chance exceeds in 5% of cases; ``None`` with one
            seed.
        accuracy: mean accuracy of the proxy.
        longer_accuracy: mean accuracy of the longer schedule.
        best_kept: share of the longer schedule's best third that is also in the proxy's best third.
        seconds: mean seconds of a proxy training.
        longer_seconds: mean seconds of a longer training.
        differ: whether the networks' accuracies differ at all, with both schedules; if not, the values above have no
            meaning.
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


def longer_rows(setup: Setup, plan: Plan, folder: Path, pool: PoolStarter, images: str | None = None) -> list[Row]:
    """Return the lines of the longer trainings that ``measure_trust`` has run and that succeeded."""
    journal = TrainingJournal(folder / JOURNAL, ["kind", "genes"], _settings_digest(setup), images)
    trainings = [one for one in plan.trainings(setup) if one.labels["kind"] == "longer"]
    rows = journal.run(trainings, pool, lambda row, left: None)  # noqa: ARG005
    return [row for row in rows if row["accuracy"] is not None]


def measure_trust(
    setup: Setup,
    plan: Plan,
    folder: Path,
    pool: PoolStarter,
    images: str | None = None,
    callback: Callback = SILENT,
) -> Trust:
    """Run the trainings that are not in the journal in ``folder`` yet, and compute the statistics of all of them.

    Args:
        setup: the parts of the run, or of a space's configuration.
        plan: the networks and trainings.
        folder: folder of the journal.
        pool: returns the workers.
        images: digest of the images and their split; journal lines of other images are ignored.
        callback: receives a message after each training.

    Raises:
        WorkError: if fewer than three networks could be trained by both schedules, or nothing can be written.
    """
    journal = TrainingJournal(folder / JOURNAL, ["kind", "genes"], _settings_digest(setup), images)

    def ended(row: Row, left: int) -> None:
        callback.message(
            f"{row['kind']:<6} {row['epochs']} epochs  {outcome(row)}  ({row['seconds']:.1f} s, {left} to go)"
        )

    rows = journal.run(plan.trainings(setup), pool, ended)
    return judge([row for row in rows if row["accuracy"] is not None])


def read_trust(folder: Path) -> dict[str, Any] | None:
    """Return the trust report in a folder; ``None`` if there is none or it cannot be read."""
    report = read_mapping(folder / REPORT)
    if "tau" not in report:
        return None
    return {name.replace("deviation", "std"): value for name, value in report.items()}  # names before 0.1.0


def judge(rows: Sequence[Mapping[str, Any]]) -> Trust:
    """Compute the statistics of the trainings.

    Args:
        rows: trainings with ``kind`` (``proxy`` or ``longer``), ``genes``, ``accuracy`` and ``seconds``.

    Raises:
        WorkError: if fewer than three networks were trained by both.
    """
    found: dict[str, dict[tuple[int, ...], list[float]]] = {kind: {} for kind in _SCHEDULES}
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
    for _ in range(_RESAMPLED):
        drawn = generator.integers(len(both), size=len(both))
        if len({float(means[place]) for place in drawn}) > 1:
            resampled.append(statistics.fmean(kendall(column[drawn], means[drawn]) for column in columns))
    low, high = np.quantile(resampled, [0.025, 0.975]) if resampled else (-1.0, 1.0)
    noise, longer_noise = measure_noise(proxy), measure_noise(longer)
    proxy_means = np.array([statistics.fmean(own) for own in proxy])
    seconds = {kind: [float(row["seconds"]) for row in rows if row["kind"] == kind] for kind in _SCHEDULES}
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
    """Return Kendall's tau-b, which takes ties into account; 0 if all values of one side are equal."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(first, second).statistic)
    return tau if np.isfinite(tau) else 0.0


def plan_from_run(setup: Setup, plan: Plan, ranked: Sequence[Architecture]) -> Plan:
    """Return a plan with networks evenly spread over a run's ranking, filled up with networks of ``plan``."""
    count = len(plan.networks)
    places = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int))
    own = [ranked[place] for place in places]
    keys = {setup.domain.key(architecture) for architecture in own}
    drawn = [architecture for architecture in plan.networks if setup.domain.key(architecture) not in keys]
    return replace(plan, networks=tuple([*own, *drawn][:count]))


def _settings_digest(setup: Setup) -> str:
    """Return a digest of everything that decides a training besides its network, seed and epochs."""
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
    for _ in range(_RESAMPLED // 10):  # ties are broken at random
        thirds = []
        for accuracies in (proxy, longer):
            order = generator.permutation(len(accuracies))
            thirds.append(set(order[np.argsort(-accuracies[order], kind="stable")[:count]].tolist()))
        shares.append(len(thirds[0] & thirds[1]) / count)
    return statistics.fmean(shares)
