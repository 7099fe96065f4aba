"""Running a list of trainings on a pool, and what several trainings of one network say about chance."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from nas.evaluate.faults import Job
from nas.evaluate.worker_pool import WorkerPool
from nas.search_spaces.records import Evaluation

POLL_S = 1.0
CERTAINTY = 1.96  # standard deviations to either side that hold 95% of a normal distribution


def run_jobs(jobs: Iterable[Job], pool: WorkerPool, ended: Callable[[Job, Evaluation], None]) -> None:
    """Run every job, as many at once as the pool holds; ``ended`` is called as each ends, in any order."""
    waiting, running = list(jobs), 0
    while waiting or running:
        while waiting and running < pool.capacity:
            pool.submit(waiting.pop(0))
            running += 1
        for job, evaluation in pool.gather(POLL_S):
            running -= 1
            ended(job, evaluation)


def pooled_deviation(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the standard deviation within groups that have means of their own; ``None`` if no group has two values."""
    squares, freedom = 0.0, 0
    for group in groups:
        if len(group) > 1:
            mean = statistics.fmean(group)
            squares += sum((value - mean) ** 2 for value in group)
            freedom += len(group) - 1
    return math.sqrt(squares / freedom) if freedom else None


def smallest_difference(deviation: float, first: int = 1, second: int = 1) -> float:
    """Return the difference of two means that chance alone exceeds in 5% of cases, for so many trainings of each."""
    return CERTAINTY * deviation * math.sqrt(1 / first + 1 / second)
