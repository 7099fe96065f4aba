"""Asynchronous successive halving (ASHA): most networks are trained a little, the best of them longer.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2. Trials are compared by reward:
the accuracy at their rung times the cost factors, which are exact from the start, so that a second objective is never
in the way of stopping early.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.core.errors import InputError


def rung_epochs(min_epochs: int, max_epochs: int, reduction: int) -> tuple[int, ...]:
    """Return the epochs that a trial has behind it at the end of each rung: ``min_epochs`` times powers, to the last.

    Raises:
        InputError: if there is no room for two rungs.
    """
    levels = []
    epochs = min_epochs
    while epochs < max_epochs:
        levels.append(epochs)
        epochs *= reduction
    if not levels:
        raise InputError(
            f"fidelity.min_epochs: expected fewer than the evaluator's {max_epochs} epochs, got {min_epochs}; halving "
            "needs a short training and a long one"
        )
    return (*levels, max_epochs)


def rung_cycles(levels: Sequence[int]) -> tuple[int, ...]:
    """Return the epochs of each rung's own cycle of the learning rate."""
    return tuple(level - before for level, before in zip(levels, (0, *levels), strict=False))


@dataclass
class _Rung:
    """Trials that finished a rung, with their rewards, and those of them that were promoted out of it."""

    rewards: dict[int, float] = field(default_factory=dict)
    promoted: set[int] = field(default_factory=set)

    def ranking(self) -> list[int]:
        return sorted(self.rewards, key=lambda number: (-self.rewards[number], number))


class Halving:
    """Decides who is trained longer, and who never will be.

    Args:
        levels: epochs at the end of each rung, rising.
        reduction: one of so many trials is promoted.
        goal: how many trials there will be; where a budget decides that, how many are expected, and then verdicts on
            the hopeless are as good as the expectation.
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
        """Take note that a trial is trained towards its next rung."""
        self._running.add(number)
        self._begun.add(number)
        if reached := self.rung(number):
            self._rungs[reached - 1].promoted.add(number)

    def record(self, number: int, accuracy: float, reward: float) -> bool:
        """Take in that a trial finished its next rung; say whether that was the last one."""
        self.start(number)
        self._running.discard(number)
        known = self._accuracies.setdefault(number, [])
        self._rungs[len(known)].rewards[number] = reward
        known.append(accuracy)
        return len(known) == len(self.levels)

    def fail(self, number: int) -> None:
        """Take note that a trial failed: its places are others' again."""
        self._running.discard(number)
        for rung in self._rungs:
            rung.rewards.pop(number, None)
            rung.promoted.discard(number)

    def prune(self, number: int) -> None:
        """Take note of the verdict that a trial is never promoted."""
        self._pruned.add(number)

    def promotable(self) -> list[int]:
        """Return the trials that may go on now, those of the highest rung first, the best of a rung first."""
        found = []
        for place in reversed(range(len(self._rungs) - 1)):
            rung = self._rungs[place]
            seats = len(rung.rewards) // self.reduction
            if self._is_complete(place):
                seats = max(1, seats)
            found += [number for number in rung.ranking()[:seats] if self._waits(number, rung)]
        return found

    def hopeless(self) -> list[int]:
        """Return the trials that will never be promoted, whatever the ones to come are worth.

        A rung promotes from its best 1/reduction alone; who has as many better ones as that will be of all that can
        still reach the rung stays behind. (More may be promoted in all, because the best at a time may be overtaken.)
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
        """Return what a trial's accuracy would be after all rungs, by the mean gain of those that were trained longer.

        This is what controllers learn from where a trial was stopped early.
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
        """Say whether nobody will reach a rung any more: no trial is to come, and none is on its way up to it."""
        if not self.closed or any(self.rung(number) <= place for number in self._running):
            return False
        for below, rung in enumerate(self._rungs[:place]):
            seats = max(1, len(rung.rewards) // self.reduction)
            if any(self._waits(number, rung) for number in rung.ranking()[:seats]) or not self._is_complete(below):
                return False
        return True
