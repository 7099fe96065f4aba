"""From a proposal to a line of the journal: pending proposals, the jobs for their trainings, and finished trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nas.core.records import Architecture, Evaluation, Status, Trial
from nas.evaluate.contract import Job
from nas.search.assemble import Setup
from nas.search_spaces import space as spaces

RESERVED = ("number", "reward", "seconds", "status", "error", "genes", "choices", "space", "epochs")
"""Names that a user's metric cannot have."""


@dataclass(slots=True)
class Pending:
    """A proposal that is not in the journal yet.

    Attributes:
        number: number of the trial.
        architecture: the proposed architecture.
        seconds: total seconds of its trainings so far.
        metrics: metrics after its last training.
        checkpoint: key of the checkpoint that its last training wrote; empty if there is none.
    """

    number: int
    architecture: Architecture
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    checkpoint: str = ""


def make_job(setup: Setup, number: int, architecture: Architecture) -> Job:
    """Return the job that evaluates a trial; its seed depends only on the run's seed and the trial's number."""
    sequence = np.random.SeedSequence([setup.config.seed, 2, number])
    seed = int(sequence.generate_state(1)[0])
    return Job(number, architecture, spaces.decode(setup.space, architecture), seed)


def evaluated_trial(setup: Setup, pending: Pending, job: Job, evaluation: Evaluation) -> Trial:
    """Return the trial that a finished training makes: its metrics, exact costs and reward.

    A trial without a finite reward has failed; ``error`` says why.
    """
    known = setup.costs(pending.architecture)
    metrics = {**evaluation.metrics, **known}
    status, error, reward = evaluation.status, evaluation.error, None
    if setup.recipe.code is not None and (taken := sorted(evaluation.metrics.keys() & {*known, *RESERVED})):
        status, error = (
            "failed",
            (
                f"the evaluator's metric '{taken[0]}' has a name of the program's own (an exact cost or a column "
                "of the journal); give it another name"
            ),
        )
    if status == "ok":
        metrics |= {"epochs": sum(job.cycles)} if job.cycles else {}
        try:
            reward = setup.reward(metrics)
        except KeyError as missing:
            reward, error = math.nan, f"the reward needs the metric {missing}, which is not known"
        except (ValueError, OverflowError) as impossible:
            reward, error = math.nan, str(impossible)
        if not math.isfinite(reward):
            status, error, reward = "failed", error or f"the reward is {reward}", None
    return finished_trial(setup, pending, status, metrics, reward, error)


def finished_trial(
    setup: Setup,
    pending: Pending,
    status: Status,
    metrics: Mapping[str, float],
    reward: float | None = None,
    error: str | None = None,
) -> Trial:
    """Return a proposal's trial with its outcome."""
    return Trial(
        number=pending.number,
        architecture=pending.architecture,
        status=status,
        metrics=metrics,
        reward=reward,
        seconds=round(pending.seconds, 3),
        error=error,
        choices=spaces.choices(setup.space, pending.architecture),
    )
