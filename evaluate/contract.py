"""The contract of evaluators: what one is given, what it returns, and what its metrics have to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.network import Network


class Evaluator(Protocol):
    """What a user writes.

    If ``evaluate`` has a parameter ``seed``, it gets the trial's; with a parameter ``epochs`` it can be asked for less
    than its full schedule, as successive halving does. With a method ``test`` of the same parameters, which returns
    ``test_accuracy`` too, the winner is scored on images that the search never used.

    A class may say of itself, by attributes:
        needs_data: it trains on the images of ``--data``; its constructor gets them as ``data``, an ``ImageData``.
        is_instant: it trains nothing, so that worker processes are not worth starting.
    """

    def evaluate(self, architecture: Architecture, network: Network | None) -> Mapping[str, float]:
        """Return metrics by name, at least ``accuracy``, a fraction."""
        ...


class Diverged(RuntimeError):
    """Training left the finite numbers."""


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation to be done.

    Attributes:
        number: of the trial.
        architecture: the genotype.
        network: its stage table, ``None`` for spaces without.
        seed: of every random draw in the evaluation.
        method: ``evaluate``, ``test`` for the winner's score on the test part, ``estimate`` for how long one takes.
        cycles: epochs of each cycle of the learning rate; empty: the evaluator's own schedule.
        checkpoint: the key under which a paused training lies on the node that paused it; empty: none.
        time_limit_factor: how many times as long as a trial this may take before it is out of time.
        pause: whether this training may go on later, and leaves a checkpoint for that.
    """

    number: int
    architecture: Architecture
    network: Network | None
    seed: int
    method: Literal["evaluate", "test", "estimate"] = "evaluate"
    cycles: tuple[int, ...] = ()
    checkpoint: str = ""
    pause: bool = False
    time_limit_factor: float = 1.0

    def time_limit_s(self, trial_s: float | None) -> float | None:
        """Return how long this may take where a trial may take ``trial_s``."""
        return None if trial_s is None else trial_s * max(1.0, self.time_limit_factor)


def check_metrics(metrics: Any) -> dict[str, float]:
    """Return an evaluator's metrics as plain numbers.

    Raises:
        InputError: if it is no mapping, lacks ``accuracy``, or holds what is no number.
        Diverged: if the accuracy is not finite.
    """
    if not isinstance(metrics, Mapping) or "accuracy" not in metrics:
        raise InputError(f"evaluate: expected a dict holding at least 'accuracy', got {metrics!r:.200}")
    plain = {}
    for name, value in metrics.items():
        try:
            plain[str(name)] = value if type(value) in (int, float) else float(value)
        except (TypeError, ValueError):
            raise InputError(f"evaluate: metric '{name}': expected a number, got {value!r:.100}") from None
    if not math.isfinite(plain["accuracy"]):
        raise Diverged(f"accuracy is {plain['accuracy']}")
    if not 0 <= plain["accuracy"] <= 1:
        raise InputError(f"evaluate: accuracy: expected a fraction from 0 to 1, got {plain['accuracy']}")
    return {name: value for name, value in plain.items() if math.isfinite(value)}
