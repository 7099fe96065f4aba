"""The interface of evaluators: their input, their output, and the check of their metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.network import Network


class Evaluator(Protocol):
    """The interface of an evaluator that a user writes.

    If ``evaluate`` has a parameter ``seed``, it gets the trial's seed. If it has a parameter ``epochs``, it can be
    asked to train for less than its full schedule, as successive halving does. If there is a method ``test`` with the
    same parameters, which returns ``test_accuracy`` too, the winner is scored on images that the search never used.

    A class may have these attributes:
        needs_data: whether it trains on the images of ``--data``; its constructor gets them as ``data``, an
            ``ImageData``.
        is_instant: whether it trains nothing, so that worker processes are not worth starting.
        reads_genes: whether it reads the genotype itself. If not, a gene that changes nothing in the network is an
            error before any work.

    A class that needs data and has ``test`` is also given the stock networks of the control, whose ``architecture`` has
    the space ``stock`` and no genes; a class with ``reads_genes`` is not.
    """

    def evaluate(self, architecture: Architecture, network: Network | None) -> Mapping[str, float]:
        """Return metrics by name, at least ``accuracy``, a fraction."""
        ...


@dataclass(frozen=True, slots=True)
class Tested:
    """What ``test`` may return instead of plain metrics.

    Attributes:
        metrics: metrics by name, with ``accuracy`` and ``test_accuracy``.
        correct: whether each test image is classified correctly, packed by ``nas.evaluate.predictions.pack``; empty if
            it is not known. Differences between networks are more certain if they are compared image by image.
    """

    metrics: Mapping[str, float]
    correct: str = ""


MOST_METRIC = 1e30
"""The largest absolute value of a metric; pictures of larger ones overflow."""


class Diverged(RuntimeError):
    """The training diverged: a value is NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation to be done.

    Attributes:
        number: number of the trial.
        architecture: the genotype.
        network: stage table of the architecture; ``None`` for spaces without stage tables.
        seed: seed of all random draws in the evaluation.
        method: ``evaluate``, ``test`` for the winner's score on the test split, ``estimate`` for the time of an
            evaluation.
        cycles: epochs of each cycle of the learning rate; if empty, the evaluator uses its own schedule.
        checkpoint: key of the checkpoint to continue from and to save to; empty for trainings that are never paused.
        time_limit_factor: factor on the time limit of a trial; values below 1 count as 1.
        pause: whether this training writes a checkpoint, because it may be resumed later.
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
        """Return the time limit of this job in seconds, given that of a trial, ``trial_s``; ``None`` for no limit."""
        return None if trial_s is None else trial_s * max(1.0, self.time_limit_factor)


def check_metrics(metrics: Any) -> dict[str, float]:
    """Return an evaluator's metrics as plain numbers, without values that are not finite.

    Raises:
        InputError: if they are not a mapping, lack ``accuracy``, or hold a value that is not a number; or if the
            accuracy is not from 0 to 1.
        Diverged: if the accuracy is not finite.
    """
    if not isinstance(metrics, Mapping) or "accuracy" not in metrics:
        raise InputError(f"evaluate: expected a dict holding at least 'accuracy', got {metrics!r:.200}")
    plain = {}
    for name, value in metrics.items():
        if not isinstance(name, str) or not name.strip() or name != name.strip():
            raise InputError(f"evaluate: expected names of metrics as text, got {name!r:.100}")
        try:
            if isinstance(value, str) or (name == "accuracy" and isinstance(value, bool)):
                raise TypeError
            number = float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # torch refuses tensors of several values
            raise InputError(f"evaluate: metric '{name}': expected a number, got {value!r:.100}") from None
        if math.isfinite(number) and abs(number) > MOST_METRIC:
            raise InputError(f"evaluate: metric '{name}': expected at most {MOST_METRIC:g}, got {number:g}")
        plain[name] = value if type(value) in (int, float) else number
    accuracy = plain["accuracy"]
    if not math.isfinite(accuracy):
        raise Diverged(f"accuracy is {accuracy}")
    if not 0 <= accuracy <= 1:
        percent = " (a percentage? Divide it by 100)" if 1 < accuracy <= 100 else ""
        raise InputError(f"evaluate: accuracy: expected a fraction from 0 to 1, got {accuracy:g}{percent}")
    return {name: value for name, value in plain.items() if math.isfinite(value)}
