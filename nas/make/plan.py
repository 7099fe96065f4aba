"""Division of a time budget among search, confirmation, training and export."""

from __future__ import annotations

from dataclasses import dataclass

from nas.core.errors import InputError
from nas.core.units import format_duration

# Shares of the whole time; more if the full training cannot use the rest.
SEARCH, CONFIRM = 0.2, 0.12
MOST = 0.8  # of both together
EXPORT, MOST_EXPORT_S = 0.1, 45.0
PAGE_S = 12.0
_TRIALS = 24  # in the search, if the time allows
_LEAST_CONTROL = 3
_CONTROL = 10  # the control takes as long as so many trials: six networks, of which some train slowly on CPUs
_LEAST_TRIALS, _LEAST_EPOCHS, _MOST_EPOCHS = 6, 2, 20
_SLOWER = 1.3  # trainings beside each other are slower than one alone, and every training is scored and started
CONFIRM_FACTOR = 3  # epochs of a confirming training, relative to a trial's
_ROUNDS, _LEAST_ROUNDS = 3, 2
_LATER_ROUND = 4  # trainings of each round after the first
_FINAL_EPOCHS = 5  # fewest epochs of the full training that the budget has to allow
_SPARE = 2.0  # factor on the time of the full training: its network may be slower than a typical one


@dataclass(frozen=True, slots=True)
class Plan:
    """How a time budget is used.

    Attributes:
        search_s: seconds of the search, its control included.
        trials: expected number of trials.
        epochs: epochs of a trial.
        candidates: candidates of the confirmation.
        rounds: rounds of the confirmation.
        confirm_s: seconds of the confirmation.
    """

    search_s: float
    trials: int
    epochs: int
    candidates: int
    rounds: int
    confirm_s: float

    @property
    def words(self) -> str:
        """The plan in one line."""
        return (
            f"about {self.trials} trials of {self.epochs} epochs in {format_duration(self.search_s)}, then up to "
            f"{self.rounds} rounds of {CONFIRM_FACTOR * self.epochs} epochs, then the full training in the time left"
        )


def reserve_s(total_s: float, exports: bool) -> float:
    """Return the seconds of a time budget that are kept for the page, and for exports if there are any."""
    return PAGE_S + (min(MOST_EXPORT_S, EXPORT * total_s) if exports else 0.0)


def make_plan(total_s: float, epoch_s: float, workers: int, most_epochs: int | None = None) -> Plan:
    """Return the plan for a time budget.

    A full training of more than ``most_epochs`` gains nothing; time that it cannot use goes to search and confirmation.

    Args:
        total_s: the whole budget in seconds.
        epoch_s: seconds of one epoch of a typical network of the budget, by one worker.
        workers: number of workers.
        most_epochs: maximum epochs of the full training; ``None``: as many as there is time for.

    Raises:
        InputError: if the budget is too short for a search and one training.
    """
    own = _SLOWER * epoch_s
    least_s = (_LEAST_TRIALS + _LEAST_CONTROL) * _LEAST_EPOCHS * own / workers / SEARCH
    least_s = max(least_s, _FINAL_EPOCHS * epoch_s / (1 - SEARCH - CONFIRM - EXPORT))
    if total_s < least_s:
        raise InputError(
            f"--minutes: an epoch of a network of this budget takes about {format_duration(epoch_s)} here, so a search "
            f"of {_LEAST_TRIALS} networks and a full training need at least {least_s / 60:.0f} minutes, got "
            f"{total_s / 60:g}. Give more --minutes, fewer images (--set data.fraction=0.2), a smaller budget or a "
            "smaller --resolution"
        )
    share = SEARCH + CONFIRM
    if most_epochs is not None:
        training_s = _SPARE * most_epochs * epoch_s / workers
        share = max(share, min(MOST, 1 - (reserve_s(total_s, exports=True) + training_s) / total_s))
    search_s = share * total_s * SEARCH / (SEARCH + CONFIRM)
    confirm_s = share * total_s - search_s
    affordable = search_s * workers / own  # epochs of all trials together
    epochs = int(min(_MOST_EPOCHS, max(_LEAST_EPOCHS, affordable / (_TRIALS + _CONTROL))))
    trials = max(_LEAST_TRIALS, int(affordable / epochs) - _CONTROL)
    trainings = confirm_s * workers / (CONFIRM_FACTOR * epochs * own)
    candidates = int(min(4, max(1, (trainings - 2 * _LATER_ROUND) / 3)))
    rounds = _ROUNDS if trainings >= 3 * candidates + 2 * _LATER_ROUND else _LEAST_ROUNDS
    return Plan(search_s, trials, epochs, candidates, rounds, confirm_s)
