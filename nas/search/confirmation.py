"""Confirmation rounds: the best trials of a search, and others, are trained again before the winner is chosen.

The best of many noisy trials is chosen partly by chance. Therefore candidates are trained longer and with other seeds,
in rounds: the first round trains all of them, each later round only those that may still be the best.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.core.callback import Callback
from nas.core.records import Trial
from nas.core.statistics import Noise, measure_noise
from nas.evaluate.objective.reward import Reward
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.pool import WorkerPool
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, outcome
from nas.search.assemble import Setup
from nas.search.inputs import code_version
from nas.search.result import CandidateResult, ConfirmationResult
from nas.search.run_directory import Run
from nas.search.trials import make_job

JOURNAL = "confirm.jsonl"
_LONGER = 3  # factor on the epochs of a full training if ``confirm.epochs`` is not set


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial that was trained again.

    Attributes:
        trial: the trial as the search recorded it.
        accuracies: accuracies of its confirming trainings, as fractions, in the order of the rounds.
        reward: reward at the mean of these accuracies.
        is_control: whether it was trained for comparison, not as one of the best.
    """

    trial: Trial
    accuracies: tuple[float, ...]
    reward: float
    is_control: bool

    @property
    def mean(self) -> float:
        """Mean accuracy, a fraction."""
        return statistics.fmean(self.accuracies)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The result of the confirmation rounds.

    Attributes:
        candidates: the candidates that were trained in the most rounds, by decreasing reward, then the others by
            decreasing reward, so that one lucky training does not win.
        epochs: epochs of each training; ``None``: the evaluator's own schedule.
        noise: noise of one training from seed to seed; ``None`` if no candidate was trained twice.
    """

    candidates: tuple[Candidate, ...]
    epochs: int | None
    noise: Noise | None

    @property
    def winner(self) -> Candidate:
        """The candidate with the highest reward among those that were trained in the most rounds."""
        return self.candidates[0]

    @property
    def tied(self) -> list[Candidate]:
        """The other candidates whose reward is not significantly lower than the winner's.

        While no network has been trained twice, the noise is not known; then these are the better half of the others.
        """
        others = self.candidates[1:]
        if (noise := self.noise) is None:
            return list(others[: max(1, len(others) // 2)])
        return [one for one in others if not _is_beaten(one, self.winner, noise)]

    def as_result(self) -> ConfirmationResult:
        """Return the confirmation in the form of ``result.json``."""
        return ConfirmationResult(
            epochs=self.epochs,
            accuracy=self.winner.mean,
            reward=self.winner.reward,
            seed_std=None if self.noise is None else self.noise.std,
            tied=tuple(one.trial.number for one in self.tied),
            candidates=tuple(
                CandidateResult(
                    number=one.trial.number, accuracies=one.accuracies, reward=one.reward, control=one.is_control
                )
                for one in self.candidates
            ),
        )


def confirm_best(setup: Setup, run: Run, pool: PoolStarter | None, callback: Callback) -> Confirmation | None:
    """Train the candidates in rounds. Trainings that an earlier process finished are not repeated.

    Args:
        setup: the parts of the run.
        run: the run directory with its trials.
        pool: returns the workers; ``None``: only finished trainings are used.
        callback: receives a message after each training.

    Returns:
        The result; ``None`` if no confirmation is configured, no round is complete, or no training succeeded.
    """
    settings = setup.config.confirm
    if not settings.candidates:
        return None
    best, others = choose(run.trials, settings.candidates, setup.reward)
    journal = TrainingJournal(
        run.path / JOURNAL,
        ["number", "round"],
        of=code_version(run.path),
        images=None if run.images is None else run.images.digest,
        resume=run.resume_command,
    )
    rows = [row for row in journal.rows if row["epochs"] == _confirm_epochs(setup)]
    known = {int(row["number"]) for row in rows} - {trial.number for trial in [*best, *others]}
    others += [trial for trial in run.trials if trial.number in known]  # candidates from before the run was extended

    def ended(row: Row, left: int) -> None:  # noqa: ARG001
        callback.message(
            f"confirm  trial {row['number']:>3}, round {row['round'] + 1}: {outcome(row)}  ({row['seconds']:.1f} s)"
        )

    contenders, found = [*best, *others], None
    for number in range(settings.rounds):
        trainings = [confirm_training(setup, trial, number) for trial in contenders]
        if pool is None and journal.missing(trainings):
            break  # an incomplete round is not evaluated
        journal.run(trainings, pool or _no_pool, ended)
        found = _judge(setup, best, others, journal.rows, number)
        contenders = [] if found is None else [found.winner.trial, *(one.trial for one in found.tied)]
        if len(contenders) < 2:
            break
    return found


def choose(trials: Sequence[Trial], count: int, reward: Reward) -> tuple[list[Trial], list[Trial]]:
    """Return the ``count`` best trials, and as many spread evenly over the ranking of the others.

    Pruned trials rank behind the others, by the epochs of their training and then by the reward at its end.
    """
    ranking = sorted(
        (trial for trial in trials if trial.status != "failed"),
        key=lambda trial: (
            trial.status != "ok",
            -trial.metrics.get("epochs", 0),
            -(reward(trial.metrics) if trial.reward is None else trial.reward),
            trial.number,
        ),
    )
    best, rest = ranking[:count], ranking[count:]
    places = np.linspace(0, len(rest) - 1, min(count, len(rest))).round().astype(int)
    return best, [rest[place] for place in places]


def confirm_training(setup: Setup, trial: Trial, number: int) -> Training:
    """Return a trial's training of one round, which is longer than in the search and has its own seed."""
    sequence = np.random.SeedSequence([setup.config.seed, 3, trial.number, number])
    job = make_job(setup, trial.number, trial.architecture)
    epochs, full = _confirm_epochs(setup), setup.config.full_epochs
    job = replace(job, seed=int(sequence.generate_state(1)[0]))
    if epochs is not None:
        job = replace(job, cycles=(epochs,), time_limit_factor=_LONGER if full is None else epochs / full)
    return Training({"number": trial.number, "round": number}, job)


def _confirm_epochs(setup: Setup) -> int | None:
    """Return the epochs of a confirming training; ``None``: the evaluator's own schedule."""
    if setup.config.confirm.epochs is not None:
        return setup.config.confirm.epochs
    full = setup.config.full_epochs
    return None if full is None else _LONGER * full


def _no_pool() -> WorkerPool:
    raise AssertionError("nothing is missing")


def _judge(
    setup: Setup,
    best: Sequence[Trial],
    others: Sequence[Trial],
    rows: Sequence[Row],
    last: int,
) -> Confirmation | None:
    """Return the result of the rounds up to ``last``; trainings of a later, interrupted round are ignored."""
    epochs, candidates = _confirm_epochs(setup), []
    scores = {(int(row["number"]), int(row["round"])): row["accuracy"] for row in rows if row["epochs"] == epochs}
    for trial in [*best, *others]:
        own = (scores.get((trial.number, number)) for number in range(last + 1))
        accuracies = tuple(accuracy for accuracy in own if accuracy is not None)
        if accuracies:
            metrics = {**trial.metrics, "accuracy": statistics.fmean(accuracies)}
            candidates.append(Candidate(trial, accuracies, setup.reward(metrics), trial in others))
    if not candidates:
        return None
    most = max(len(one.accuracies) for one in candidates)
    candidates.sort(
        key=lambda one: (len(one.accuracies) < most, -one.reward, one.trial.metrics.get("macs", 0), one.trial.number)
    )
    return Confirmation(tuple(candidates), epochs, measure_noise(one.accuracies for one in candidates))


def _is_beaten(one: Candidate, winner: Candidate, noise: Noise) -> bool:
    """Return whether a candidate's reward is significantly lower than the winner's."""
    factor = winner.reward / winner.mean if winner.mean else 1.0
    return winner.reward - one.reward > factor * noise.smallest_difference(len(one.accuracies), len(winner.accuracies))
