"""Confirmation rounds: the best trials of a search, and others, are trained again before the winner is chosen.

The best of many noisy trials is chosen partly by chance. Therefore candidates are trained longer and with other seeds,
in rounds: the first round trains all of them, each later round only those that may still be the best.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.core.callback import Callback
from nas.core.records import Architecture, Trial
from nas.core.statistics import Noise, measure_noise
from nas.evaluate.contract import Job
from nas.evaluate.objective.reward import Reward
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.pool import WorkerPool
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, outcome
from nas.scale.stock import StockNetwork
from nas.search.assemble import Setup
from nas.search.control import STOCK_SPACE, Control
from nas.search.inputs import code_version
from nas.search.result import CandidateResult, ConfirmationResult
from nas.search.run_directory import Run
from nas.search.trials import make_job

JOURNAL = "confirm.jsonl"
_LONGER = 3  # factor on the epochs of a full training if ``confirm.epochs`` is not set


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial, or a stock network of the control, that was trained again.

    Attributes:
        trial: the trial as the search recorded it; of a stock network, a trial with a negative number.
        accuracies: accuracies of its confirming trainings, as fractions, in the order of the rounds.
        reward: reward at the mean of these accuracies.
        is_control: whether it was trained for comparison, not as one of the best.
        stock: the stock network; ``None`` for the search's own networks.
    """

    trial: Trial
    accuracies: tuple[float, ...]
    reward: float
    is_control: bool
    stock: StockNetwork | None = None

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
        stock: the stock networks of the control, in the same order.
        defaults: the space's default architecture; empty if it was not trained.
    """

    candidates: tuple[Candidate, ...]
    epochs: int | None
    noise: Noise | None
    stock: tuple[Candidate, ...] = ()
    defaults: tuple[Candidate, ...] = ()

    @property
    def default(self) -> Candidate | None:
        """The space's default architecture; ``None`` if it was not trained."""
        return self.defaults[0] if self.defaults else None

    @property
    def winner(self) -> Candidate:
        """The candidate with the highest reward among those that were trained in the most rounds."""
        return self.candidates[0]

    @property
    def tied(self) -> list[Candidate]:
        """The other candidates whose reward is not significantly lower than the winner's.

        While no network has been trained twice, the noise is not known; then these are the better half of the others.
        """
        return self._near(self.candidates)

    @property
    def undecided(self) -> list[Candidate]:
        """The candidates and stock networks that a further round would train again; empty if nothing is undecided.

        The winner and the best stock network are among them unless one is significantly better than the other.
        """
        own, stock = self.tied, self._near(self.stock) if self.stock else []
        first = [self.winner, *self.stock[:1], *self.defaults]
        open_yet = any(self._is_open(one) for one in first[1:])
        return [*first, *own, *stock] if own or stock or open_yet else []

    def _is_open(self, other: Candidate) -> bool:
        """Return whether the winner and a network of the control are not significantly different yet."""
        if self.noise is None:
            return True
        smallest = self.noise.smallest_difference(len(self.winner.accuracies), len(other.accuracies))
        return abs(self.winner.mean - other.mean) <= smallest

    def _near(self, ranked: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates behind the first that are not significantly worse."""
        best, others = ranked[0], ranked[1:]
        if (noise := self.noise) is None:
            return list(others[: max(1, len(others) // 2)])
        return [one for one in others if not _is_beaten(one, best, noise)]

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


def confirm_best(
    setup: Setup, run: Run, pool: PoolStarter | None, callback: Callback, control: Control | None = None
) -> Confirmation | None:
    """Train the candidates in rounds. Trainings that an earlier process finished are not repeated.

    Args:
        setup: the parts of the run.
        run: the run directory with its trials.
        pool: returns the workers; ``None``: only finished trainings are used.
        callback: receives a message after each training.
        control: the stock networks of the control; as many of the best as ``confirm.candidates`` are trained too.

    Returns:
        The result; ``None`` if no confirmation is configured, no round is complete, or no training succeeded.
    """
    settings = setup.config.confirm
    if not settings.candidates:
        return None
    best, others = choose(run.trials, settings.candidates, setup.reward)
    rivals = [*control.stock[: settings.candidates], *([control.default] if control.default else [])] if control else []
    stock = {-1 - place: one for place, one in enumerate(rivals)}
    journal = confirm_journal(run)
    rows = [row for row in journal.rows if row["epochs"] == confirm_epochs(setup) and row["network"] is None]
    known = {int(row["number"]) for row in rows} - {trial.number for trial in [*best, *others]}
    others += [trial for trial in run.trials if trial.number in known]  # candidates from before the run was extended

    def ended(row: Row, left: int) -> None:  # noqa: ARG001
        name = f"trial {row['number']:>3}" if row["network"] is None else row["network"].rpartition(" ")[0]
        callback.message(f"confirm  {name}, round {row['round'] + 1}: {outcome(row)}  ({row['seconds']:.1f} s)")

    doubles = [_stock_trial(number, one) for number, one in stock.items()]
    contenders, found = [*best, *others, *doubles], None
    begun = time.monotonic()
    for number in range(settings.rounds):
        if number and pool is not None and time.monotonic() - begun > (settings.seconds or math.inf):
            break
        trainings = [confirm_training(setup, trial, number, stock.get(trial.number)) for trial in contenders]
        if pool is None and journal.missing(trainings):
            break  # an incomplete round is not evaluated
        journal.run(trainings, pool or _no_pool, ended)
        found = _judge(setup, best, others, journal, number, stock)
        contenders = [] if found is None else [one.trial for one in found.undecided]
        if not contenders:
            break
    return found


def confirm_journal(run: Run) -> TrainingJournal:
    """Return the journal of a run's confirming trainings."""
    return TrainingJournal(
        run.path / JOURNAL,
        ["number", "round", "network"],
        of=code_version(run.path),
        images=None if run.images is None else run.images.digest,
        resume=run.resume_command,
    )


def confirming_rows(setup: Setup, run: Run, candidate: Candidate) -> list[Row]:
    """Return the journal's lines of a candidate's confirming trainings that succeeded, by rounds."""
    journal, found = confirm_journal(run), list[Row]()
    for number in range(setup.config.confirm.rounds):
        row = journal.row_of(confirm_training(setup, candidate.trial, number, candidate.stock))
        if row is not None and row["accuracy"] is not None:
            found.append(row)
    return found[: len(candidate.accuracies)]


def _stock_trial(number: int, one: StockNetwork) -> Trial:
    return Trial(number, Architecture(STOCK_SPACE, ()), "ok", dict(one.costs))


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


def confirm_training(setup: Setup, trial: Trial, number: int, stock: StockNetwork | None = None) -> Training:
    """Return a training of one round, which is longer than in the search; all networks of a round have the same seed.

    Networks are scored on the test images too where the evaluator can; these scores decide nothing.
    """
    sequence = np.random.SeedSequence([setup.config.seed, 3, number])
    seed = int(sequence.generate_state(1)[0])
    if stock is None:
        job = replace(make_job(setup, trial.number, trial.architecture), seed=seed)
    else:
        job = Job(trial.number, trial.architecture, stock.network, seed)
    epochs, full = confirm_epochs(setup), setup.config.full_epochs
    if setup.evaluator.can_test:
        job = replace(job, method="test")
    if epochs is not None:
        job = replace(job, cycles=(epochs,), time_limit_factor=_LONGER if full is None else epochs / full)
    if stock is None:
        return Training({"number": trial.number, "round": number, "network": None}, job)
    return Training({"number": None, "round": number, "network": stock.label}, job)


def confirm_epochs(setup: Setup) -> int | None:
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
    journal: TrainingJournal,
    last: int,
    stock: Mapping[int, StockNetwork],
) -> Confirmation | None:
    """Return the result of the rounds up to ``last``; trainings of a later, interrupted round are ignored."""
    epochs, found = confirm_epochs(setup), list[Candidate]()
    for trial in [*best, *others, *(_stock_trial(number, one) for number, one in stock.items())]:
        one = stock.get(trial.number)
        own = (journal.row_of(confirm_training(setup, trial, number, one)) for number in range(last + 1))
        accuracies = tuple(row["accuracy"] for row in own if row is not None and row["accuracy"] is not None)
        if accuracies:
            metrics = {**trial.metrics, "accuracy": statistics.fmean(accuracies)}
            found.append(Candidate(trial, accuracies, _reward(setup, metrics), trial in others, one))
    candidates = _ranked([one for one in found if one.stock is None])
    control = _ranked([one for one in found if one.stock is not None and not one.stock.is_default])
    defaults = _ranked([one for one in found if one.stock is not None and one.stock.is_default])
    if not candidates:
        return None
    return Confirmation(candidates, epochs, measure_noise(one.accuracies for one in found), control, defaults)


def _ranked(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    most = max((len(one.accuracies) for one in candidates), default=0)

    def place(one: Candidate) -> tuple[bool, float, float, int]:
        return len(one.accuracies) < most, -one.reward, one.trial.metrics.get("macs", 0), one.trial.number

    return tuple(sorted(candidates, key=place))


def _reward(setup: Setup, metrics: Mapping[str, float]) -> float:
    """Return the reward; the accuracy alone if a stock network lacks a cost that the reward needs."""
    try:
        return setup.reward(metrics)
    except KeyError:
        return metrics["accuracy"]


def _is_beaten(one: Candidate, winner: Candidate, noise: Noise) -> bool:
    """Return whether a candidate's reward is significantly lower than the winner's."""
    factor = winner.reward / winner.mean if winner.mean else 1.0
    return winner.reward - one.reward > factor * noise.smallest_difference(len(one.accuracies), len(winner.accuracies))
