"""The control of a search: stock networks scaled to its budget, trained and scored exactly as its own networks are.

A search has to say whether its network is better than what the person would have used without it. So stock networks,
and the space's own default architecture, are scaled to the same limits and trained by the same proxy, with the same
seeds. The best of them by validation accuracy is compared with the search's baseline on the test images, which neither
of them was chosen by.
"""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas.core.callback import Callback
from nas.core.errors import InputError
from nas.core.journal import read_rows
from nas.core.records import Architecture, Trial
from nas.core.statistics import Difference, Noise, mean_difference, measure_noise, paired_difference
from nas.core.units import format_quantity
from nas.evaluate.contract import Job
from nas.evaluate.cost.latency.device import TableDevice
from nas.evaluate.objective.limits import Limit, Limits
from nas.evaluate.predictions import unpack
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.pool import WorkerPool
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, outcome
from nas.scale.stock import StockNetwork, exact_costs, fit_to_limits, stock_networks
from nas.search.asha import rung_cycles
from nas.search.assemble import Setup
from nas.search.inputs import code_version
from nas.search.result import ControlNetwork, ControlResult
from nas.search.run_directory import Run
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network

JOURNAL = "control.jsonl"
STOCK_SPACE = "stock"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Control:
    """The stock networks of a search, and what was measured of them.

    Attributes:
        networks: the stock networks scaled to the limits.
        refused: by name, why others could not be scaled to them.
        accuracies: validation accuracy of each trained network by its name, a fraction; ``None`` if it failed.
        errors: by name, why a training failed.
        no_time: names of the networks for which the time budget left no time.
    """

    networks: Sequence[StockNetwork]
    refused: Mapping[str, str]
    accuracies: Mapping[str, float | None]
    errors: Mapping[str, str]
    no_time: Sequence[str] = ()

    @property
    def stock(self) -> list[StockNetwork]:
        """The stock networks that were trained without a fault, by decreasing validation accuracy."""
        known = [one for one in self.networks if self.accuracies.get(one.name) is not None and not one.is_default]
        return sorted(known, key=lambda one: -(self.accuracies[one.name] or 0.0))

    @property
    def default(self) -> StockNetwork | None:
        """The space's default architecture; ``None`` if it was not trained."""
        known = (one for one in self.networks if one.is_default and self.accuracies.get(one.name) is not None)
        return next(known, None)


def has_control(setup: Setup) -> bool:
    """Return whether a search trains a control: if it trains networks on images, and is not told otherwise."""
    config = setup.config
    trains = setup.evaluator.needs_data and setup.evaluator.can_test and config.scaling is None
    return config.control.enabled and trains and not setup.evaluator.reads_genes


def limits_of(setup: Setup, baseline: Trial | None = None) -> Limits | None:
    """Return the limits that stock networks are scaled to: those of the search, else the MACs of its baseline.

    ``None`` if there is neither.
    """
    if setup.limits:
        return setup.limits
    macs = setup.config.objective.target_flops or (baseline.metrics.get("macs") if baseline else None)
    return Limits((Limit("macs", float(macs), flag=f"{format_quantity(macs)} MACs"),)) if macs else None


def stock_of(setup: Setup, limits: Limits) -> tuple[list[StockNetwork], dict[str, str]]:
    """Return the stock networks scaled to limits, and by name why others cannot be.

    The architecture with the middle option of every gene is one of them, if the space has stage tables.
    """
    pattern = default_network(setup)
    resolution = pattern.resolution if pattern else _resolution(setup)
    classes = pattern.classes if pattern else 1000
    costs = stock_costs(setup)
    proxy = setup.config.proxy
    enlarges = proxy is None or proxy.reference_resolution is not None  # else all networks train at one resolution
    names = setup.config.control.networks
    found, refused = stock_networks(names, resolution, classes, limits, costs, enlarges)
    if pattern is not None:
        try:
            found.insert(1, replace(fit_to_limits(pattern, resolution, limits, costs), is_default=True))
        except InputError as error:
            refused[pattern.name] = str(error)
    return found, refused


def default_network(setup: Setup) -> Network | None:
    """Return the network of the middle option of every gene; ``None`` for spaces without stage tables."""
    genes = tuple(int(count) // 2 for count in setup.space.gene_sizes)
    try:
        network = spaces.decode(setup.space, Architecture(setup.space.name, genes))
    except InputError:
        return None
    return None if network is None else replace(network, name=f"{setup.space.name} default")


def train_control(
    setup: Setup,
    run: Run,
    pool: PoolStarter | None,
    callback: Callback,
    limits: Limits | None,
    seconds: float = math.inf,
) -> Control | None:
    """Train the stock networks once each. Trainings that an earlier process finished are not repeated.

    Args:
        setup: the parts of the run.
        run: the run directory.
        pool: returns the workers; ``None``: only finished trainings are used.
        callback: receives a message after each training.
        limits: the limits to scale to; ``None``: there is no control yet.
        seconds: wall-clock seconds after which no further training begins; at least one wave is trained.

    Returns:
        The control; ``None`` if there is none.
    """
    if limits is None or not has_control(setup):
        return None
    networks, refused = stock_of(setup, limits)
    journal = control_journal(run)
    done = [one for one in networks if journal.row_of(training(setup, one.label, one.network, 0))]
    left = [one for one in networks if one not in done] if pool is not None else []
    words = {one.label: one.words for one in networks}

    def ended(row: Row, left: int) -> None:  # noqa: ARG001
        callback.message(f"control  {words[row['network']]}: {outcome(row)}  ({row['seconds']:.1f} s)")

    begun = time.monotonic()
    while left and pool is not None and (not done or time.monotonic() - begun < seconds):
        wave, left = left[: pool().capacity], left[pool().capacity :]
        journal.run(_numbered([training(setup, one.label, one.network, 0) for one in wave]), pool, ended)
        done += wave
    if left and seconds:
        callback.message(f"control  no time for {', '.join(one.name for one in left)}")
    networks = [one for one in networks if one in done]
    rows = {one.name: journal.row_of(training(setup, one.label, one.network, 0)) or {} for one in networks}
    for name, reason in refused.items():
        _log.info("control: %s is left out: %s", name, reason)
    return Control(
        networks,
        refused,
        {name: row.get("accuracy") for name, row in rows.items()},
        {name: str(row["error"]) for name, row in rows.items() if row.get("error")},
        [one.name for one in left],
    )


def compare(
    setup: Setup,
    run: Run,
    pool: PoolStarter | None,
    callback: Callback,
    control: Control | None,
    baseline: tuple[str, Network | None, Architecture],
) -> ControlResult | None:
    """Train the baseline and the best stock network from the same seeds, and compare them on the test images.

    Args:
        setup: the parts of the run.
        run: the run directory.
        pool: returns the workers; ``None``: only finished trainings are used.
        callback: receives a message after each training.
        control: the stock networks.
        baseline: the baseline's name in the journal, its network and its architecture.

    Returns:
        The comparison; ``None`` if no stock network was trained, or a training is missing.
    """
    if control is None or not control.stock:
        return None
    best, (name, network, architecture) = control.stock[0], baseline
    rivals = [best, *([control.default] if control.default else [])]
    journal = control_journal(run)
    rounds = range(1, setup.config.control.trainings + 1)  # the best stock network was chosen by round 0
    trainings = _numbered(
        [
            *(training(setup, name, network, number, architecture) for number in rounds),
            *(training(setup, one.label, one.network, number) for one in rivals for number in rounds),
        ]
    )
    if pool is None and journal.missing(trainings):
        return None

    def ended(row: Row, left: int) -> None:  # noqa: ARG001
        tested = f", test {row['test_accuracy']:.2%}" if "test_accuracy" in row else ""
        callback.message(f"compare  {words.get(row['network'], name)}, seed {row['round']}: {outcome(row)}{tested}")

    words = {one.label: one.name for one in rivals}
    rows = journal.run(trainings, pool or _no_pool, ended)
    own = {one: [row for row in rows if row["network"] == one] for one in (name, *words)}
    default = own[control.default.label] if control.default else ()
    return control_result(setup, run, control, best, Rows.common(own[name], own[best.label], default))


@dataclass(frozen=True, slots=True)
class Rows:
    """Lines of trainings from the same seeds: of the baseline, of the best stock network, of the space's default."""

    baseline: Sequence[Row]
    stock: Sequence[Row]
    default: Sequence[Row] = ()

    @classmethod
    def common(cls, baseline: Sequence[Row], stock: Sequence[Row], default: Sequence[Row]) -> Rows:
        """Return the lines of the rounds in which each of the networks was scored on the test images."""
        scored = [[row for row in rows if row.get("test_accuracy") is not None] for rows in (baseline, stock, default)]
        rounds = {row["round"] for row in scored[0]} & {row["round"] for row in scored[1]}
        both = rounds & {row["round"] for row in scored[2]}
        kept = [both or rounds, both or rounds, both]
        return cls(*([row for row in rows if row["round"] in own] for rows, own in zip(scored, kept, strict=True)))


def control_result(
    setup: Setup,
    run: Run,
    control: Control,
    best: StockNetwork,
    rows: Rows,
    noise: Noise | None = None,
    means: Mapping[str, Sequence[float]] | None = None,
) -> ControlResult | None:
    """Return the comparison of the baseline's trainings with those of the best stock network.

    Args:
        setup: the parts of the run.
        run: the run directory.
        control: the stock networks.
        best: the best of them.
        rows: lines of the compared trainings.
        noise: noise of a training from seed to seed; ``None``: that of these trainings.
        means: validation accuracies of stock networks in confirming trainings, by name.

    Returns:
        The comparison; ``None`` if no round was scored on the test images.
    """
    ours, theirs = rows.baseline, rows.stock
    if not ours:
        return None
    tested = [[float(row["test_accuracy"]) for row in one] for one in (ours, theirs, rows.default) if one]
    own, other = tested[:2]
    noise = noise or measure_noise(tested)
    images, inflation = _test_images(run), _inflation(setup, run)
    difference = _difference(ours, theirs, images, noise, inflation)
    default = _difference(ours, rows.default, images, noise, inflation) if rows.default else None
    return ControlResult(
        networks=tuple(_network_result(one, control, (means or {}).get(one.name)) for one in control.networks),
        refused=dict(control.refused),
        no_time=tuple(control.no_time),
        best=best.name,
        words=best.words,
        metric=setup.config.objective.metric,
        epochs=ours[0]["epochs"] or setup.config.full_epochs,
        trainings=min(len(ours), len(theirs)),
        baseline_test=statistics.fmean(own),
        best_test=statistics.fmean(other),
        difference=difference.value,
        half_width=min(1.0, difference.half_width),
        test_images=images,
        default_difference=None if default is None else default.value,
        default_half_width=None if default is None else min(1.0, default.half_width),
    )


def training(
    setup: Setup, name: str, network: Network | None, number: int, architecture: Architecture | None = None
) -> Training:
    """Return a training of the control: the whole schedule of a trial, by the seed of round ``number``.

    It is scored on the validation and the test images. The seed is the same for all networks of a round.
    """
    sequence = np.random.SeedSequence([setup.config.seed, 5, number])
    one = architecture or Architecture(STOCK_SPACE, ())
    seed = int(sequence.generate_state(1)[0])
    job = Job(0, one, network, seed, "test", rung_cycles(setup.config.rungs))
    return Training({"network": name, "round": number}, job)


def control_journal(run: Run) -> TrainingJournal:
    """Return the journal of a run's control trainings."""
    return TrainingJournal(
        run.path / JOURNAL,
        ["network", "round"],
        of=code_version(run.path),
        images=None if run.images is None else run.images.digest,
        resume=run.resume_command,
    )


def control_seconds(run: Path) -> float:
    """Return the seconds of a run's control trainings so far."""
    return sum(float(row.get("seconds", 0.0)) for row in read_rows(run / JOURNAL))


def _difference(
    ours: Sequence[Row], theirs: Sequence[Row], images: int, noise: Noise | None, inflation: float
) -> Difference:
    """Return the difference of the mean test scores; its interval comes from the single images where they are known."""
    own, other = ([float(row["test_accuracy"]) for row in rows] for rows in (ours, theirs))
    found = mean_difference(own, other, noise)
    try:
        first, second = (np.stack([unpack(row["correct"], images) for row in rows]) for rows in (ours, theirs))
    except ValueError:  # the evaluator of a user gives scores only
        return found
    return replace(found, half_width=paired_difference(first, second, noise, inflation).half_width)


def _inflation(setup: Setup, run: Run) -> float:
    """Return the variance of the metric relative to that of accuracy, from the numbers of test images of the classes.

    Balanced accuracy and macro F1 are means over classes, so that images of rare classes weigh more.
    """
    counts = [] if run.images is None else [own[2] for own in run.images.classes.values() if own[2]]
    if setup.config.objective.metric not in ("balanced_accuracy", "macro_f1") or not counts:
        return 1.0
    return sum(counts) / len(counts) ** 2 * sum(1 / count for count in counts)


def _network_result(one: StockNetwork, control: Control, confirmed: Sequence[float] | None) -> ControlNetwork:
    return ControlNetwork(
        name=one.name,
        words=one.words,
        width=one.scaling.width,
        depth=one.scaling.depth,
        resolution=one.network.resolution,
        macs=one.costs.get("macs"),
        params=one.costs.get("params"),
        latency_ms=one.costs.get("latency_ms"),
        accuracy=control.accuracies.get(one.name),
        confirmed=tuple(confirmed or ()),
        error=control.errors.get(one.name),
        is_default=one.is_default,
    )


def stock_costs(setup: Setup) -> Callable[[Network], Mapping[str, float]]:
    """Return the function that gives the costs of a network outside the space, with its latency if a table has it."""
    device = setup.costs.device
    if device is None:
        return exact_costs
    if isinstance(device, TableDevice):
        table = device.table
        return lambda network: {**exact_costs(network), "latency_ms": table.predict_ms(network)}
    return exact_costs  # devices of the surrogate know only its own networks; a limit on their speed refuses the others


def _resolution(setup: Setup) -> int:
    return int(getattr(setup.space, "resolution", None) or setup.config.data.resolution)


def _test_images(run: Run) -> int:
    return 0 if run.images is None else sum(counts[2] for counts in run.images.classes.values())


def _numbered(trainings: Sequence[Training]) -> list[Training]:
    """Return trainings with different job numbers."""
    return [replace(one, job=replace(one.job, number=place)) for place, one in enumerate(trainings)]


def _no_pool() -> WorkerPool:
    raise AssertionError("nothing is missing")
