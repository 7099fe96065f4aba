"""Comparison of a search's baseline with the best stock network of its control, on the test images."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.core.callback import Callback
from nas.core.records import Architecture
from nas.core.statistics import Difference, Noise, mean_difference, measure_noise, paired_difference
from nas.evaluate.predictions import unpack
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.pool import WorkerPool
from nas.evaluate.workers.training_journal import Row, outcome
from nas.scale.stock import StockNetwork
from nas.search.assemble import Setup
from nas.search.control import Control, control_journal, numbered, training
from nas.search.result import ControlNetwork, ControlResult
from nas.search.run_directory import Run
from nas.search_spaces.network import Network


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
    trainings = numbered(
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


def _test_images(run: Run) -> int:
    return 0 if run.images is None else sum(counts[2] for counts in run.images.classes.values())


def _no_pool() -> WorkerPool:
    raise AssertionError("nothing is missing")
