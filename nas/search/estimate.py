"""An estimate of the duration of a trial, made before the first trial starts."""

from __future__ import annotations

import numpy as np

from nas.core.records import Evaluation
from nas.evaluate.contract import Job
from nas.evaluate.workers.jobs import run_jobs
from nas.evaluate.workers.pool import WorkerPool
from nas.search.assemble import Setup
from nas.search_spaces import space as spaces

ESTIMATED = 3  # minimum number of networks that are timed


def estimate_trial(setup: Setup, pool: WorkerPool) -> float | None:
    """Return the expected mean seconds of a trial, from a few training steps of some networks on all workers.

    ``None`` if the evaluator is not the proxy, or no network could be timed.
    """
    if setup.recipe.proxy is None:
        return None
    generator = np.random.default_rng(np.random.SeedSequence([setup.config.seed, 4]))
    drawn = [setup.domain.sample(generator) for _ in range(max(ESTIMATED, pool.capacity))]
    jobs = [
        Job(number, architecture, spaces.decode(setup.space, architecture), number, method="estimate")
        for number, architecture in enumerate(drawn)
        if architecture is not None
    ]
    found: list[float] = []

    def ended(_: Job, evaluation: Evaluation) -> None:
        if evaluation.status == "ok":
            found.append(evaluation.metrics["seconds"])

    run_jobs(jobs, pool, ended)
    if not found:
        return None
    longest = (setup.config.full_epochs or setup.recipe.proxy.epochs) / setup.recipe.proxy.epochs
    return setup.config.epochs_share * longest * sum(found) / len(found)
