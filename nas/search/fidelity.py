"""How long each network is trained: all alike, or most a little and the best in full (successive halving)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nas.core.records import Architecture, Trial
from nas.evaluate.contract import Job
from nas.evaluate.objective.reward import Reward
from nas.evaluate.proxy.paused import checkpoint_key
from nas.search.asha import Halving
from nas.search.config import RunConfig
from nas.search.run_directory import Run

RUNGS = "rungs.jsonl"


@dataclass(slots=True)
class Pending:
    """A proposal without a journal line yet, and what its trainings so far took and came to."""

    number: int
    architecture: Architecture
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


class Fidelity:
    """All networks are trained alike, in one piece: what a trial's training comes to is the trial.

    Attributes:
        paused: trials that may be trained further, by number.
    """

    def __init__(self) -> None:
        self.paused: dict[int, Pending] = {}

    def next(self, waiting: list[Pending], none_to_come: bool) -> Pending | None:  # noqa: ARG002
        """Take the trial that is trained next, of those that wait for their first training or are paused.

        Args:
            waiting: proposals that were not trained yet.
            none_to_come: whether no further one will be made.
        """
        return waiting.pop(0) if waiting else None

    def job(self, job: Job) -> Job:
        """Return a trial's next training."""
        return job

    def metrics(self, number: int) -> dict[str, float]:  # noqa: ARG002
        """Return what is known beside the evaluator's metrics of a trial that is being recorded."""
        return {}

    def takes(self, pending: Pending, trial: Trial) -> bool:  # noqa: ARG002
        """Take in a training that ended as ``trial``; say whether the trial goes on or waits, so is not over yet."""
        return False

    def verdicts(self, none_to_come: bool) -> list[Pending]:  # noqa: ARG002
        """Take the paused trials that never go on; ``none_to_come`` says that no further one will be proposed."""
        return []

    def ready(self, none_to_come: bool) -> int:  # noqa: ARG002
        """Return how many paused trials go on as soon as a worker is free."""
        return 0

    def let_go(self, numbers: Sequence[int]) -> list[str]:  # noqa: ARG002
        """Return the checkpoints that trials that are over may have left."""
        return []

    def told(self, trial: Trial) -> Trial:
        """Return what the controller is told of a trial."""
        return trial

    def restore(self, waiting: list[Pending], finished: Iterable[Trial]) -> list[Pending]:  # noqa: ARG002
        """Take up what was paused, as after a restart; return who still waits for the first training."""
        return waiting


class HalvingFidelity(Fidelity):
    """Asynchronous successive halving: trials pause after each rung, and the best go on.

    Args:
        run: where the rungs are written down.
        reward: what trials are compared by.
    """

    def __init__(self, run: Run, reward: Reward, config: RunConfig) -> None:
        super().__init__()
        goal = min(config.trials, config.expected_trials or config.trials)
        self.halving = Halving(config.rungs, config.fidelity.reduction, goal)
        self._run, self._reward = run, reward

    def next(self, waiting: list[Pending], none_to_come: bool) -> Pending | None:
        """Take the best paused trial that may go on, else the next new one."""
        self.halving.closed = none_to_come and not waiting
        if promoted := self.halving.promotable():
            pending = self.paused.pop(promoted[0])
        elif waiting:
            pending = waiting.pop(0)
        else:
            return None
        self.halving.start(pending.number)
        return pending

    def job(self, job: Job) -> Job:
        """Return the training up to the trial's next rung."""
        reached = self.halving.rung(job.number) + 1
        cycles = self.halving.cycles
        return replace(job, cycles=cycles[:reached], checkpoint=self._key(job.number), pause=reached < len(cycles))

    def metrics(self, number: int) -> dict[str, float]:
        """Return the ``epochs`` that the trial has behind it."""
        return {"epochs": self.halving.levels[self.halving.rung(number)]}

    def takes(self, pending: Pending, trial: Trial) -> bool:
        """Take in a rung's end: after any but the last the trial is paused."""
        if trial.reward is None:
            self.halving.fail(pending.number)
            return False
        if self.halving.record(pending.number, trial.metrics["accuracy"], trial.reward):
            return False
        pending.metrics = trial.metrics
        self._run.append_row(RUNGS, self._row(pending, trial.reward))
        self.paused[pending.number] = pending
        return True

    def verdicts(self, none_to_come: bool) -> list[Pending]:
        """Take the paused trials that never go on."""
        self.halving.closed = none_to_come
        hopeless = self.halving.hopeless()
        for number in hopeless:
            self.halving.prune(number)
        return [self.paused.pop(number) for number in hopeless]

    def ready(self, none_to_come: bool) -> int:
        """Return how many paused trials go on as soon as a worker is free."""
        self.halving.closed = none_to_come
        return len(self.halving.promotable())

    def let_go(self, numbers: Sequence[int]) -> list[str]:
        """Return the keys of these trials' checkpoints."""
        return [self._key(number) for number in numbers]

    def told(self, trial: Trial) -> Trial:
        """Return of a pruned trial what its whole training would have come to, so that controllers learn from it."""
        if trial.status != "pruned" or not self.halving.rung(trial.number):
            return trial
        metrics = {**trial.metrics, "accuracy": self.halving.projected_accuracy(trial.number)}
        return replace(trial, status="ok", metrics=metrics, reward=self._reward(metrics))

    def restore(self, waiting: list[Pending], finished: Iterable[Trial]) -> list[Pending]:
        """Take up the rungs that trials have finished: those that are not over are paused again."""
        finished = list(finished)
        open_ones = {pending.number: pending for pending in waiting}
        genes = {pending.number: list(pending.architecture.genes) for pending in waiting}
        genes |= {trial.number: list(trial.architecture.genes) for trial in finished}
        for row in self._run.rows(RUNGS):
            number, metrics = int(row["number"]), dict(row["metrics"])
            if genes.get(number) != row["genes"] or row["rung"] != self.halving.rung(number):
                continue  # of a proposal that was lost with the controller's state, or of its second training
            self.halving.record(number, float(metrics["accuracy"]), float(row["reward"]))
            if pending := open_ones.get(number):
                pending.seconds, pending.metrics = float(row["seconds"]), metrics
                self.paused[number] = pending
        for trial in finished:
            if trial.status == "failed":
                self.halving.fail(trial.number)
            elif trial.status == "pruned":
                self.halving.prune(trial.number)
            elif trial.reward is not None and self.halving.rung(trial.number) == len(self.halving.levels) - 1:
                self.halving.record(trial.number, trial.metrics["accuracy"], trial.reward)
        return [pending for pending in waiting if pending.number not in self.paused]

    def _key(self, number: int) -> str:
        return checkpoint_key(str(self._run.path.resolve()), number)

    def _row(self, pending: Pending, reward: float) -> dict[str, Any]:
        return {
            "number": pending.number,
            "genes": list(pending.architecture.genes),
            "rung": self.halving.rung(pending.number) - 1,
            "metrics": dict(pending.metrics),
            "reward": reward,
            "seconds": round(pending.seconds, 3),
        }


def make_fidelity(config: RunConfig, run: Run, reward: Reward) -> Fidelity:
    """Return how long a run trains each network."""
    return HalvingFidelity(run, reward, config) if config.rungs else Fidelity()
