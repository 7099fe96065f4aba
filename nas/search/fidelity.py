"""How long each network is trained: all equally long, or most of them briefly and the best in full (ASHA)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nas.core.records import Trial
from nas.evaluate.contract import Job
from nas.evaluate.objective.reward import Reward
from nas.evaluate.proxy.paused import checkpoint_key
from nas.search.asha import Halving
from nas.search.config import RunConfig
from nas.search.run_directory import Run
from nas.search.trials import Pending

RUNGS = "rungs.jsonl"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The decisions about paused trials, as trial numbers.

    Attributes:
        promoted: trials that may be trained further now, best first.
        pruned: trials that can no longer be promoted.
    """

    promoted: Sequence[int] = ()
    pruned: Sequence[int] = ()


class Fidelity(ABC):
    """Decides how long each trial is trained. The search loop holds the paused trials and acts on the verdicts."""

    @abstractmethod
    def job(self, job: Job) -> Job:
        """Return the job of a trial's next training, and record that it starts."""

    @abstractmethod
    def record(self, trial: Trial) -> bool:
        """Record a finished training. Returns True if the trial is paused for possible promotion, else it is final."""

    @abstractmethod
    def verdicts(self, none_to_come: bool) -> Verdicts:
        """Return which paused trials are promoted, and which are pruned.

        Args:
            none_to_come: whether no further trial will begin.
        """

    @abstractmethod
    def told(self, trial: Trial) -> Trial:
        """Return the trial in the form in which the controller is told of it."""

    @abstractmethod
    def restore(self, pending: Sequence[Pending], finished: Iterable[Trial]) -> dict[int, Pending]:
        """Restore the state after a restart. Returns the proposals that were paused, by number."""


class FullTraining(Fidelity):
    """Every trial is trained once, by the evaluator's whole schedule."""

    def job(self, job: Job) -> Job:
        """Return the job as it is."""
        return job

    def record(self, trial: Trial) -> bool:  # noqa: ARG002
        """Return False: the trial is final."""
        return False

    def verdicts(self, none_to_come: bool) -> Verdicts:  # noqa: ARG002
        """Return no verdicts: nothing is paused."""
        return Verdicts()

    def told(self, trial: Trial) -> Trial:
        """Return the trial as it is."""
        return trial

    def restore(self, pending: Sequence[Pending], finished: Iterable[Trial]) -> dict[int, Pending]:  # noqa: ARG002
        """Return nothing: nothing was paused."""
        return {}


class HalvingFidelity(Fidelity):
    """Asynchronous successive halving: trials pause after each rung, and the best are promoted to the next.

    Args:
        run: the directory; the rungs are recorded in its ``rungs.jsonl``.
        reward: the run's reward, for the projected accuracies of pruned trials.
        config: the run's configuration.
    """

    def __init__(self, run: Run, reward: Reward, config: RunConfig) -> None:
        goal = min(config.trials, config.expected_trials or config.trials)
        self._halving = Halving(config.rungs, config.fidelity.reduction, goal)
        self._run, self._reward = run, reward

    def job(self, job: Job) -> Job:
        """Return the training up to the trial's next rung, which continues from the trial's checkpoint."""
        self._halving.start(job.number)
        reached = self._halving.rung(job.number) + 1
        cycles = self._halving.cycles
        return replace(job, cycles=cycles[:reached], checkpoint=self._key(job.number), pause=reached < len(cycles))

    def record(self, trial: Trial) -> bool:
        """Record a finished rung. Returns True (paused) after each rung except the last."""
        if trial.status == "pruned":
            self._halving.prune(trial.number)
        elif trial.reward is None:
            self._halving.fail(trial.number)
        elif not self._halving.record(trial.number, trial.metrics["accuracy"], trial.reward):
            self._write_rung(trial)
            return True
        return False

    def verdicts(self, none_to_come: bool) -> Verdicts:
        """Return which paused trials are promoted, and which are pruned."""
        self._halving.closed = none_to_come
        return Verdicts(self._halving.promotable(), self._halving.hopeless())

    def told(self, trial: Trial) -> Trial:
        """Return a pruned trial with the accuracy that its full training is expected to reach."""
        if trial.status != "pruned" or not self._halving.rung(trial.number):
            return trial
        metrics = {**trial.metrics, "accuracy": self._halving.projected_accuracy(trial.number)}
        return replace(trial, status="ok", metrics=metrics, reward=self._reward(metrics))

    def restore(self, pending: Sequence[Pending], finished: Iterable[Trial]) -> dict[int, Pending]:
        """Restore the rungs that trials have finished; trials without a journal line are paused again."""
        finished, paused = list(finished), dict[int, Pending]()
        proposals = {one.number: one for one in pending}
        genes = {one.number: list(one.architecture.genes) for one in pending}
        genes |= {trial.number: list(trial.architecture.genes) for trial in finished}
        for row in self._run.rows(RUNGS):
            number, metrics = int(row["number"]), dict(row["metrics"])
            if genes.get(number) != row["genes"] or row["rung"] != self._halving.rung(number):
                continue  # the proposal was lost with the controller's state, or the rung was trained a second time
            self._halving.record(number, float(metrics["accuracy"]), float(row["reward"]))
            if (one := proposals.get(number)) is not None:
                paused[number] = replace(
                    one, seconds=float(row["seconds"]), metrics=metrics, checkpoint=self._key(number)
                )
        for trial in finished:
            if trial.status == "failed":
                self._halving.fail(trial.number)
            elif trial.status == "pruned":
                self._halving.prune(trial.number)
            elif trial.reward is not None and self._halving.rung(trial.number) == len(self._halving.levels) - 1:
                self._halving.record(trial.number, trial.metrics["accuracy"], trial.reward)
        return paused

    def _key(self, number: int) -> str:
        return checkpoint_key(str(self._run.path.resolve()), number)

    def _write_rung(self, trial: Trial) -> None:
        row = {
            "number": trial.number,
            "genes": list(trial.architecture.genes),
            "rung": self._halving.rung(trial.number) - 1,
            "metrics": dict(trial.metrics),
            "reward": trial.reward,
            "seconds": trial.seconds,
        }
        self._run.append_row(RUNGS, row)


def make_fidelity(config: RunConfig, run: Run, reward: Reward) -> Fidelity:
    """Return the run's fidelity: successive halving if it has rungs, else full training."""
    return HalvingFidelity(run, reward, config) if config.rungs else FullTraining()
