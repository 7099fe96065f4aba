"""Asynchronous successive halving (ASHA): most networks are trained for a few epochs, the best of them longer.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2. Trials are ranked by reward:
the accuracy at their rung times the cost factors. The cost factors are exact from the start, so that early stopping
works with a second objective too.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.core.errors import InputError


def rung_epochs(min_epochs: int, max_epochs: int, reduction: int) -> tuple[int, ...]:
    """Return the cumulative epochs at the end of each rung.

    They are ``min_epochs`` times powers of ``reduction``; the last rung ends at ``max_epochs``.

    Raises:
        InputError: if ``min_epochs`` is not smaller than ``max_epochs``.
    """
    levels = []
    epochs = min_epochs
    while epochs < max_epochs:
        levels.append(epochs)
        epochs *= reduction
    if not levels:
        raise InputError(
            f"fidelity.min_epochs: expected fewer than the {max_epochs} epochs of the longest training, got "
            f"{min_epochs}; halving needs a short training and a long one"
        )
    return (*levels, max_epochs)


def rung_cycles(levels: Sequence[int]) -> tuple[int, ...]:
    """Return the epochs of each rung, which has its own cycle of the learning rate."""
    return tuple(level - before for level, before in zip(levels, (0, *levels), strict=False))


@dataclass
class _Rung:
    """The rewards of the trials that finished a rung, and the trials that were promoted from it."""

    rewards: dict[int, float] = field(default_factory=dict)
    promoted: set[int] = field(default_factory=set)

    def ranking(self) -> list[int]:
        return sorted(self.rewards, key=lambda number: (-self.rewards[number], number))


class Halving:
    """Decides which trials are promoted and which can no longer be promoted.

    Args:
        levels: cumulative epochs at the end of each rung, in increasing order.
        reduction: one in ``reduction`` trials of a rung is promoted.
        goal: total number of trials. If a budget decides it, this is the expected number, and the result of
            ``hopeless`` is only as reliable as this expectation.
    """

    def __init__(self, levels: Sequence[int], reduction: int, goal: int) -> None:
        self.levels, self.reduction, self.goal = tuple(levels), reduction, goal
        self.cycles = rung_cycles(levels)
        self.closed = False
        self._rungs = [_Rung() for _ in self.levels]
        self._accuracies: dict[int, list[float]] = {}
        self._running: set[int] = set()
        self._begun: set[int] = set()
        self._pruned: set[int] = set()

    def rung(self, number: int) -> int:
        """Return how many rungs a trial has finished."""
        return len(self._accuracies.get(number, ()))

    def start(self, number: int) -> None:
        """Record that a training towards the next rung of a trial starts."""
        self._running.add(number)
        self._begun.add(number)
        if reached := self.rung(number):
            self._rungs[reached - 1].promoted.add(number)

    def record(self, number: int, accuracy: float, reward: float) -> bool:
        """Record that a trial finished its next rung. Returns True if it was the last rung."""
        self.start(number)
        self._running.discard(number)
        known = self._accuracies.setdefault(number, [])
        self._rungs[len(known)].rewards[number] = reward
        known.append(accuracy)
        return len(known) == len(self.levels)

    def fail(self, number: int) -> None:
        """Record that a trial failed and free its slots."""
        self._running.discard(number)
        for rung in self._rungs:
            rung.rewards.pop(number, None)
            rung.promoted.discard(number)

    def prune(self, number: int) -> None:
        """Record that a trial is pruned, so that it is never promoted."""
        self._pruned.add(number)

    def promotable(self) -> list[int]:
        """Return the trials that can be promoted now: the highest rung first, and within a rung the best first."""
        found = []
        for place in reversed(range(len(self._rungs) - 1)):
            rung = self._rungs[place]
            seats = len(rung.rewards) // self.reduction
            if self._is_complete(place):
                seats = max(1, seats)
            found += [number for number in rung.ranking()[:seats] if self._waits(number, rung)]
        return found

    def hopeless(self) -> list[int]:
        """Return the trials that can no longer be promoted, regardless of the rewards of later trials.

        A rung promotes only trials among its best 1/``reduction``. The number of slots is computed from all trials that
        can still reach the rung; a trial with at least as many better trials as slots is never promoted. (In total,
        more trials than slots may be promoted, because later trials may overtake a promoted one.)
        """
        found = []
        arrivals = max(self.goal, len(self._begun))
        if self.closed:
            arrivals = len(self._rungs[0].rewards) + sum(self.rung(number) == 0 for number in self._running)
        for place, rung in enumerate(self._rungs[:-1]):
            if self._is_complete(place):
                arrivals = len(rung.rewards)
            seats = max(1, arrivals // self.reduction)
            ranking = rung.ranking()
            found += [number for number in ranking[seats:] if self._waits(number, rung)]
            candidates = sum(self._waits(number, rung) for number in ranking[:seats])
            arrivals = len(rung.promoted) + candidates + arrivals - len(ranking)
        return found

    def projected_accuracy(self, number: int) -> float:
        """Return a trial's expected accuracy after all rungs, by the mean gains of trials that were trained longer.

        Controllers learn from this value if a trial was stopped early.
        """
        known = self._accuracies[number]
        accuracy = known[-1]
        for place in range(len(known), len(self.levels)):
            gains = [own[place] - own[place - 1] for own in self._accuracies.values() if len(own) > place]
            accuracy += statistics.fmean(gains) if gains else 0.0
        return min(max(accuracy, 0.0), 1.0)

    def _waits(self, number: int, rung: _Rung) -> bool:
        return number not in rung.promoted and number not in self._pruned

    def _is_complete(self, place: int) -> bool:
        """Return whether a rung is complete: no trial will start, and no running or paused trial can still reach it."""
        if not self.closed or any(self.rung(number) <= place for number in self._running):
            return False
        for below, rung in enumerate(self._rungs[:place]):
            seats = max(1, len(rung.rewards) // self.reduction)
            if any(self._waits(number, rung) for number in rung.ranking()[:seats]) or not self._is_complete(below):
                return False
        return True
