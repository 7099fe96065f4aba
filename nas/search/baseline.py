"""What a run comes to: the baseline, its test score, the Pareto front, and the files that hold them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from nas.core.errors import InputError
from nas.core.records import Evaluation, Trial
from nas.evaluate.contract import Job
from nas.evaluate.imagenet.neighbours import Neighbour, as_csv, neighbours
from nas.evaluate.objective.pareto import pareto_front
from nas.evaluate.workers.jobs import run_jobs
from nas.evaluate.workers.pool import WorkerPool
from nas.search.asha import rung_cycles
from nas.search.assemble import Setup
from nas.search.b0_comparison import SAMPLE, AgainstB0, against_b0
from nas.search.confirmation import JOURNAL, Rounds, Tell, confirm_job, confirm_rounds
from nas.search.fidelity import RUNGS
from nas.search.loop import SPENT, make_job
from nas.search.run_directory import Run
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """A run's result.

    Attributes:
        baseline: the best trial by reward, or by the reward of its confirming trainings.
        network: its stage table; ``None`` for spaces without.
        test_accuracy: its score on the test part; ``None`` if there is none.
        front: the Pareto front, by falling accuracy.
        files: what was written.
        against_b0: the baseline beside EfficientNet-B0, where the ImageNet surrogate scored it.
        neighbours: what every single change of the baseline would do, where the surrogate scored it.
        measured_ms: the baseline's latency on this machine, where a latency table predicted it.
        rounds: what the confirming trainings came to, where there were any.
    """

    baseline: Trial
    network: Network | None
    test_accuracy: float | None
    front: list[Trial]
    files: list[Path]
    against_b0: AgainstB0 | None = None
    neighbours: list[Neighbour] = field(default_factory=list)
    measured_ms: float | None = None
    rounds: Rounds | None = None

    @property
    def reward(self) -> float:
        """The baseline's reward: of its confirming trainings where there were any."""
        return self.rounds.winner.reward if self.rounds else float(self.baseline.reward or 0.0)


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial with the highest reward; of equals the one with fewer MACs, then the earlier."""
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


def baseline_network(setup: Setup, run: Run, baseline: Trial) -> Network | None:
    """Return the baseline's stage table, named after its run."""
    network = spaces.decode(setup.space, baseline.architecture)
    return None if network is None else replace(network, name=f"{run.path.resolve().name}-baseline")


def conclude(
    setup: Setup, run: Run, pool: Callable[[], WorkerPool] | None, tell: Tell = lambda _: None
) -> Outcome | None:
    """Choose the baseline, score it on the test part once, and write the derived files.

    The baseline is trained again as its trial, or its first confirming training, was, so that those never touch the
    test part.

    Args:
        setup: the parts of the run.
        run: with its journal complete or not.
        pool: gives the workers; ``None`` leaves out what needs training, as after an interruption.
        tell: is told each confirming training.

    Returns:
        ``None`` if no trial succeeded.
    """
    rounds = confirm_rounds(setup, run, pool, tell)
    baseline = rounds.winner.trial if rounds else best_trial(run.trials)
    if baseline is None:
        return None
    known = run.read("result.json")
    same = known.get("number") == baseline.number and ("confirmed" in known) == (rounds is not None)
    test_accuracy = known.get("test_accuracy") if same else None
    if test_accuracy is None and pool is not None and setup.can_test:
        job = make_job(setup, baseline.number, baseline.architecture)
        job = confirm_job(setup, baseline, 0) if rounds else replace(job, cycles=rung_cycles(setup.config.rungs))
        test_accuracy = _score_on_test(job, pool())
    network = baseline_network(setup, run, baseline)
    front = front_of(run.trials)
    comparison = against_b0(setup, network, sample=0 if pool is None else SAMPLE)
    nearby = neighbours(comparison.found.genes) if comparison else []
    measured_ms = _measured_ms(setup, network) if pool is not None else None
    files = [
        run.path / "config.yaml",
        run.path / "trials.jsonl",
        run.write_front(front),
        run.write("baseline.yaml", network_to_yaml(network) if network else _genotype_yaml(baseline)),
        run.write(
            "result.json",
            json.dumps(
                _result(run, baseline, test_accuracy, front, comparison, measured_ms, rounds)
                | {"ended": pool is not None},
                indent=2,
            )
            + "\n",
        ),
        *([run.write("neighbours.csv", as_csv(nearby))] if nearby else []),
        run.path / "run.log",
    ]
    files[2:2] = [run.path / name for name in (RUNGS, SPENT, JOURNAL) if (run.path / name).exists()]
    return Outcome(baseline, network, test_accuracy, front, files, comparison, nearby, measured_ms, rounds)


def _measured_ms(setup: Setup, network: Network | None) -> float | None:
    """Measure the baseline where a latency table predicted it, so that both are shown together."""
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


def _score_on_test(job: Job, pool: WorkerPool) -> float | None:
    found: list[Evaluation] = []
    run_jobs([replace(job, method="test")], pool, lambda _, evaluation: found.append(evaluation))
    if found[0].status != "ok":
        _log.warning("the baseline could not be scored on the test part: %s", found[0].error)
    return found[0].metrics.get("test_accuracy")


def _result(
    run: Run,
    baseline: Trial,
    test_accuracy: float | None,
    front: Sequence[Trial],
    comparison: AgainstB0 | None,
    measured_ms: float | None,
    rounds: Rounds | None,
) -> dict[str, Any]:
    statuses = [trial.status for trial in run.trials]
    return {
        "number": baseline.number,
        "test_accuracy": test_accuracy,
        "accuracy": rounds.winner.mean if rounds else baseline.metrics["accuracy"],
        "macs": baseline.metrics.get("macs"),
        "params": baseline.metrics.get("params"),
        "reward": rounds.winner.reward if rounds else baseline.reward,
        "genes": list(baseline.architecture.genes),
        "choices": dict(baseline.choices),
        "space": baseline.architecture.space,
        "target_flops": run.config.objective.target_flops,
        "trials": {status: statuses.count(status) for status in ("ok", "failed", "pruned")},
        "front": [trial.number for trial in front],
        "seconds": round(sum(trial.seconds for trial in run.trials), 3),
        "seed": run.config.seed,
        **{name: baseline.metrics[name] for name in ("latency_ms", "throughput") if name in baseline.metrics},
        **({} if measured_ms is None else {"measured_latency_ms": measured_ms}),
        **({"predicted": comparison.as_json()} if comparison else {}),
        **({"confirmed": rounds.as_json()} if rounds else {}),
    }


def _genotype_yaml(baseline: Trial) -> str:
    """Return what stands for the network where there is no stage table: its genotype."""
    data = {
        "space": baseline.architecture.space,
        "genes": list(baseline.architecture.genes),
        "choices": dict(baseline.choices),
    }
    return yaml.safe_dump(data, sort_keys=False)
