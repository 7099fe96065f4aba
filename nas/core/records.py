"""Small frozen data classes that are passed between packages: architectures, evaluations and trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["ok", "failed", "pruned"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The genotype: one option index for each decision of a space.

    Attributes:
        space: name of the space the genes belong to.
        genes: option indices, ``0 <= genes[i] < space.gene_sizes[i]``.
    """

    space: str
    genes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of evaluating one architecture.

    A crash, a NaN, an out-of-memory error and a time-out are recorded as results, not raised.

    Attributes:
        architecture: the architecture that was evaluated.
        status: ``ok``, ``failed`` or ``pruned``.
        metrics: ``accuracy`` (a fraction) and all other metrics that the evaluator measured.
        seconds: wall time of the evaluation, without the wait for a worker.
        error: the reason of a failure, in one line.
        fault: the kind of failure: ``exception`` (raised by the evaluator's code), ``diverged``,
            ``out_of_memory``, ``timeout``, ``device`` (its worker is replaced), ``data`` (the images are gone) or
            ``worker_died``; empty if nothing failed.
        details: the traceback of an exception, for the log.
        correct: whether each test image is classified correctly, packed; empty if the test split was not scored.
    """

    architecture: Architecture
    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    fault: str = ""
    details: str = ""
    correct: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One finished trial of a run: an evaluation with its number and reward; the metrics include the exact costs.

    Attributes:
        number: number of the trial, from 0, in the order of proposal.
        architecture: the genotype that was evaluated.
        status: ``ok``, ``failed`` or ``pruned``.
        metrics: ``accuracy`` (a fraction), ``macs``, ``params`` and all other known metrics.
        reward: the number to maximise; ``None`` unless the status is ``ok``.
        seconds: wall time of the evaluation.
        error: the reason of a failure, in one line.
        choices: the chosen values by the decision's name.
    """

    number: int
    architecture: Architecture
    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    reward: float | None = None
    seconds: float = 0.0
    error: str | None = None
    choices: Mapping[str, object] = field(default_factory=dict)
