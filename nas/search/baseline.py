"""The result of a run: the baseline, its test score, the Pareto front, and the files that hold them."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nas.core.callback import SILENT, Callback
from nas.core.documents import to_yaml
from nas.core.errors import InputError
from nas.core.records import Evaluation, Trial
from nas.core.statistics import measure_noise
from nas.evaluate.contract import Job
from nas.evaluate.imagenet.neighbours import Neighbour, as_csv, neighbours
from nas.evaluate.objective.pareto import pareto_front
from nas.evaluate.workers.jobs import PoolStarter, run_jobs
from nas.evaluate.workers.pool import WorkerPool
from nas.search.asha import rung_cycles
from nas.search.assemble import Setup
from nas.search.b0_comparison import SAMPLE, B0Comparison, compare_with_b0
from nas.search.confirmation import JOURNAL, Confirmation, confirm_best, confirming_rows
from nas.search.control import JOURNAL as CONTROL
from nas.search.control import Control, limits_of, train_control
from nas.search.control_comparison import Rows, compare, control_result
from nas.search.fidelity import RUNGS
from nas.search.loop import SPENT
from nas.search.result import RESULT, ControlResult, Result
from nas.search.run_directory import Run
from nas.search.trials import make_job
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml

CONTROL_NETWORK, DEFAULT_NETWORK = "control.yaml", "default.yaml"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Baseline:
    """A run's result.

    Attributes:
        trial: the best trial by reward or, after a confirmation, by the reward of its confirming trainings.
        network: its stage table; ``None`` for spaces without stage tables.
        test_accuracy: its accuracy on the test split; ``None`` if it was not measured.
        front: the Pareto front, by decreasing accuracy.
        files: the files of the run, including those that were written.
        b0_comparison: comparison with EfficientNet-B0, if the ImageNet surrogate scored the baseline.
        neighbours: predicted effect of each change of one choice of the baseline, if the surrogate scored it.
        predicted_for: the machine that a latency table predicts for, if it is not this one; else empty.
        measured_ms: measured latency of the baseline on this machine in ms, if a latency table predicted it.
        confirmation: the confirming trainings; ``None`` if there are none.
        control: the comparison with stock networks; ``None`` if the search trained none.
    """

    trial: Trial
    network: Network | None
    test_accuracy: float | None
    front: list[Trial]
    files: list[Path]
    b0_comparison: B0Comparison | None = None
    neighbours: list[Neighbour] = field(default_factory=list)
    measured_ms: float | None = None
    predicted_for: str = ""
    confirmation: Confirmation | None = None
    control: ControlResult | None = None

    @property
    def reward(self) -> float:
        """The baseline's reward; after a confirmation, the reward of its confirming trainings."""
        return self.confirmation.winner.reward if self.confirmation else float(self.trial.reward or 0.0)


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial with the highest reward; ties go to fewer MACs, then to the smaller number."""
    finished = [trial for trial in trials if trial.reward is not None]
    return max(
        finished,
        key=lambda trial: (trial.reward, -trial.metrics.get("macs", 0), -trial.number),
        default=None,
    )


def front_of(trials: Sequence[Trial]) -> list[Trial]:
    """Return the Pareto front of the trials that succeeded."""
    finished = [trial for trial in trials if trial.status == "ok"]
    return [finished[index] for index in pareto_front([trial.metrics for trial in finished])]


def _baseline_network(setup: Setup, run: Run, baseline: Trial) -> Network | None:
    """Return the baseline's stage table, named after its run."""
    network = spaces.decode(setup.space, baseline.architecture)
    return None if network is None else replace(network, name=f"{run.path.resolve().name}-baseline")


def conclude(setup: Setup, run: Run, pool: PoolStarter | None, callback: Callback = SILENT) -> Baseline | None:
    """Choose the baseline, score it on the test split, and write the derived files.

    The test score is the mean of the trainings that are compared with the control or, without a control, of the
    confirming trainings; without these, the baseline is trained once more, exactly as in its trial. Nothing is chosen
    by test scores.

    Args:
        setup: the parts of the run.
        run: the run directory; its journal may be incomplete.
        pool: returns the workers; ``None`` skips everything that needs training, as after an interruption.
        callback: receives a message after each confirming training.

    Returns:
        ``None`` if no trial succeeded.
    """
    if all(trial.status == "failed" for trial in run.trials):
        return None
    spent = setup.config.budget is not None and bool(run.rows(CONTROL))  # then no time is left for more of it
    limits = limits_of(setup, best_trial(run.trials))
    control = train_control(setup, run, pool, callback, limits, 0.0 if spent else math.inf)
    confirmation = confirm_best(setup, run, pool, callback, control)
    baseline = confirmation.winner.trial if confirmation else best_trial(run.trials)
    if baseline is None:
        return None
    known = Result.read(run.path)
    same = known is not None and known.number == baseline.number and (known.confirmed is None) == (confirmation is None)
    network = _baseline_network(setup, run, baseline)
    compared = _compared(setup, run, pool, callback, control, confirmation, baseline)
    test_accuracy = compared.baseline_test if compared else known.test_accuracy if known is not None and same else None
    if test_accuracy is None and confirmation and (rows := confirming_rows(setup, run, confirmation.winner)):
        tested = [float(row["test_accuracy"]) for row in rows if row.get("test_accuracy") is not None]
        test_accuracy = statistics.fmean(tested) if tested else None
    if test_accuracy is None and pool is not None and setup.evaluator.can_test:
        job = make_job(setup, baseline.number, baseline.architecture)
        job = replace(job, cycles=rung_cycles(setup.config.rungs))
        test_accuracy = _score_on_test(job, pool())
    front = front_of(run.trials)
    comparison = compare_with_b0(setup, network, sample=0 if pool is None else SAMPLE)
    nearby = neighbours(comparison.found.genes) if comparison else []
    measured_ms = _measured_ms(setup, network) if pool is not None else None
    ended = pool is not None
    result = _result(run, baseline, test_accuracy, front, comparison, measured_ms, confirmation, ended, compared)
    files = [
        run.path / "config.yaml",
        run.path / "trials.jsonl",
        run.write_front(front),
        run.write("baseline.yaml", network_to_yaml(network) if network else _genotype_yaml(baseline)),
        run.write(RESULT, result.to_json()),
        *([run.write("neighbours.csv", as_csv(nearby))] if nearby else []),
        *_control_files(run, control, compared),
        run.path / "run.log",
    ]
    files[2:2] = [run.path / name for name in (RUNGS, SPENT, CONTROL, JOURNAL) if (run.path / name).exists()]
    elsewhere = _predicted_for(setup)
    return Baseline(
        trial=baseline,
        network=network,
        test_accuracy=test_accuracy,
        front=front,
        files=files,
        b0_comparison=comparison,
        neighbours=nearby,
        measured_ms=measured_ms,
        predicted_for=elsewhere,
        confirmation=confirmation,
        control=compared,
    )


def _compared(
    setup: Setup,
    run: Run,
    pool: PoolStarter | None,
    callback: Callback,
    control: Control | None,
    confirmation: Confirmation | None,
    baseline: Trial,
) -> ControlResult | None:
    """Compare the baseline with the best stock network: by the confirming trainings, else by trainings of their own."""
    if control is None:
        return None
    if confirmation is None:
        network = spaces.decode(setup.space, baseline.architecture)
        own = (f"trial {baseline.number}", network, baseline.architecture)
        return compare(setup, run, pool, callback, control, own)
    if not confirmation.stock:
        return None
    best = confirmation.stock[0]
    default = confirmation.default
    ours, theirs = (confirming_rows(setup, run, one) for one in (confirmation.winner, best))
    third = [] if default is None else confirming_rows(setup, run, default)
    if best.stock is None:
        return None
    rows = Rows.common(ours, theirs, third)
    noise = measure_noise(_test_scores(setup, run, confirmation)) or confirmation.noise
    means = {one.stock.name: one.accuracies for one in (*confirmation.stock, *confirmation.defaults) if one.stock}
    return control_result(setup, run, control, best.stock, rows, noise, means)


def _test_scores(setup: Setup, run: Run, confirmation: Confirmation) -> list[list[float]]:
    """Return the test scores of the confirming trainings, for each network that was trained in them."""
    every = (*confirmation.candidates, *confirmation.stock, *confirmation.defaults)
    rows = (confirming_rows(setup, run, one) for one in every)
    return [[float(row["test_accuracy"]) for row in own if row.get("test_accuracy") is not None] for own in rows]


def _control_files(run: Run, control: Control | None, compared: ControlResult | None) -> list[Path]:
    """Write the stage tables of the best stock network and of the space's default architecture."""
    if control is None or compared is None:
        return []
    best = next(one.network for one in control.networks if one.name == compared.best)
    files = [run.write(CONTROL_NETWORK, network_to_yaml(best))]
    if control.default is not None:
        files.append(run.write(DEFAULT_NETWORK, network_to_yaml(control.default.network)))
    return files


def _measured_ms(setup: Setup, network: Network | None) -> float | None:
    """Measure the baseline's latency if a latency table predicted it, so that both values are shown together."""
    from nas.evaluate.cost.latency.device import TableDevice

    if network is None or not isinstance(setup.costs.device, TableDevice):
        return None
    from nas.evaluate.cost.latency.build import BuildSettings, measure_network

    table = setup.costs.device.table
    try:
        return measure_network(network, BuildSettings(table.device, table.backend, table.threads, table.batch))
    except InputError as error:
        _log.warning("the baseline's latency was not measured here: %s", error)
        return None


def _predicted_for(setup: Setup) -> str:
    from nas.evaluate.cost.latency.device import TableDevice, other_machine

    return other_machine(setup.costs.device.table) if isinstance(setup.costs.device, TableDevice) else ""


def _score_on_test(job: Job, pool: WorkerPool) -> float | None:
    found: list[Evaluation] = []
    run_jobs([replace(job, method="test")], pool, lambda _, evaluation: found.append(evaluation))
    if found[0].status != "ok":
        _log.warning("the baseline could not be scored on the test split: %s", found[0].error)
    return found[0].metrics.get("test_accuracy")


def _result(
    run: Run,
    trial: Trial,
    test_accuracy: float | None,
    front: Sequence[Trial],
    comparison: B0Comparison | None,
    measured_ms: float | None,
    confirmation: Confirmation | None,
    ended: bool,
    control: ControlResult | None,
) -> Result:
    statuses = [trial.status for trial in run.trials]
    searched = trial.metrics["accuracy"]
    honest = comparison.found.judgement.accuracy if comparison else searched
    return Result(
        number=trial.number,
        accuracy=confirmation.winner.mean if confirmation else honest,
        searched_accuracy=searched,
        test_accuracy=test_accuracy,
        macs=trial.metrics.get("macs"),
        params=trial.metrics.get("params"),
        reward=confirmation.winner.reward if confirmation else trial.reward,
        genes=trial.architecture.genes,
        choices=dict(trial.choices),
        space=trial.architecture.space,
        target_flops=run.config.objective.target_flops,
        trials={status: statuses.count(status) for status in ("ok", "failed", "pruned")},
        front=tuple(member.number for member in front),
        seconds=round(sum(member.seconds for member in run.trials), 3),
        seed=run.config.seed,
        latency_ms=trial.metrics.get("latency_ms"),
        throughput=trial.metrics.get("throughput"),
        measured_latency_ms=measured_ms,
        predicted=comparison.as_result() if comparison else None,
        confirmed=confirmation.as_result() if confirmation else None,
        control=control,
        ended=ended,
    )


def _genotype_yaml(baseline: Trial) -> str:
    """Return the baseline's genotype as YAML, for spaces without stage tables."""
    data = {
        "space": baseline.architecture.space,
        "genes": list(baseline.architecture.genes),
        "choices": dict(baseline.choices),
    }
    return to_yaml(data)
