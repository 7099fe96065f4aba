"""Confirmation rounds: the best trials of a search, and others, are trained again before the winner is named.

The best of many noisy trials is partly the luckiest. So candidates are trained longer and from other seeds, in rounds:
all of them once; then, again and again, those that may still be the best.
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
from nas.search.loop import make_job
from nas.search.result import CandidateResult, ConfirmationResult
from nas.search.run_directory import Run

JOURNAL = "confirm.jsonl"
LONGER = 3  # times the evaluator's epochs, where nothing else is asked for


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial that was trained again.

    Attributes:
        trial: as the search saw it.
        accuracies: of its confirming trainings, fractions, in the order of rounds.
        reward: of their mean accuracy.
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
    """What the rounds came to.

    Attributes:
        candidates: those that were trained most often first, by falling reward: one lucky training does not win.
        epochs: of each training.
        noise: of one training, from seed to seed; ``None`` if no candidate was trained twice.
    """

    candidates: tuple[Candidate, ...]
    epochs: int | None
    noise: Noise | None

    @property
    def winner(self) -> Candidate:
        """The candidate with the highest reward of those that were trained in every round."""
        return self.candidates[0]

    @property
    def tied(self) -> list[Candidate]:
        """The others that are behind the winner by no more than chance, so far as the rounds can tell.

        While no network was trained twice, and chance is not known, that is the better half.
        """
        others = self.candidates[1:]
        if (noise := self.noise) is None:
            return list(others[: max(1, len(others) // 2)])
        return [one for one in others if not _is_beaten(one, self.winner, noise)]

    def as_result(self) -> ConfirmationResult:
        """Return it as ``result.json`` has it."""
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
    """Train the candidates in rounds, and take up what an earlier process trained.

    Args:
        setup: the parts of the run.
        run: with its trials.
        pool: gives the workers; ``None`` trains nothing more.
        callback: hears of each training as it ends.

    Returns:
        ``None`` if nothing is to be confirmed, or nothing succeeded.
    """
    settings = setup.config.confirm
    if not settings.candidates:
        return None
    best, others = choose(run.trials, settings.candidates, setup.reward)
    journal = TrainingJournal(run.path / JOURNAL, ["number", "round"], resume=run.resume_command)
    rows = [row for row in journal.rows if row["epochs"] == confirm_epochs(setup)]
    known = {int(row["number"]) for row in rows} - {trial.number for trial in [*best, *others]}
    others += [trial for trial in run.trials if trial.number in known]  # candidates before the run was extended

    def ended(row: Row, left: int) -> None:  # noqa: ARG001
        callback.message(
            f"confirm  trial {row['number']:>3}, round {row['round'] + 1}: {outcome(row)}  ({row['seconds']:.1f} s)"
        )

    contenders, found = [*best, *others], None
    for number in range(settings.rounds):
        trainings = [confirm_training(setup, trial, number) for trial in contenders]
        if pool is None and journal.missing(trainings):
            break  # a round that is not complete decides nothing
        journal.run(trainings, pool or _no_pool, ended)
        found = _judge(setup, best, others, journal.rows, number)
        contenders = [] if found is None else [found.winner.trial, *(one.trial for one in found.tied)]
        if len(contenders) < 2:
            break
    return found


def choose(trials: Sequence[Trial], count: int, reward: Reward) -> tuple[list[Trial], list[Trial]]:
    """Return the ``count`` best trials, and as many spread evenly over the ranking of the others.

    Trials that were pruned rank behind the others, by the epochs they got and what they were worth then.
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
    """Return a trial's training of a round: longer, and from a seed of its own."""
    sequence = np.random.SeedSequence([setup.config.seed, 3, trial.number, number])
    job = make_job(setup, trial.number, trial.architecture)
    epochs, full = confirm_epochs(setup), setup.config.full_epochs
    job = replace(job, seed=int(sequence.generate_state(1)[0]))
    if epochs is not None:
        job = replace(job, cycles=(epochs,), time_limit_factor=LONGER if full is None else epochs / full)
    return Training({"number": trial.number, "round": number}, job)


def confirm_epochs(setup: Setup) -> int | None:
    """Return the epochs of a confirming training; ``None``: the evaluator's own schedule."""
    if setup.config.confirm.epochs is not None:
        return setup.config.confirm.epochs
    full = setup.config.full_epochs
    return None if full is None else LONGER * full


def _no_pool() -> WorkerPool:
    raise AssertionError("nothing is missing")


def _judge(
    setup: Setup,
    best: Sequence[Trial],
    others: Sequence[Trial],
    rows: Sequence[Row],
    last: int,
) -> Confirmation | None:
    """Judge by the rounds up to ``last``, so that a kill within a later one changes nothing."""
    epochs, candidates = confirm_epochs(setup), []
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
    """Say whether a candidate's reward is behind the winner's by more than chance."""
    factor = winner.reward / winner.mean if winner.mean else 1.0
    return winner.reward - one.reward > factor * noise.smallest_difference(len(one.accuracies), len(winner.accuracies))
