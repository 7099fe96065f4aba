"""Running a list of trainings on a pool, and what several trainings of one network say about chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from nas.core.errors import WorkError
from nas.core.records import Evaluation
from nas.evaluate.contract import Job
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.workers.pool import LocalPool, WorkerPool

POLL_S = 1.0


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


@contextmanager
def lazy_pool(recipe: EvaluatorRecipe, data: ImageData, workers: int) -> Iterator[Callable[[], WorkerPool]]:
    """Give a pool when it is first asked for, and end it in any case; 0 workers evaluate in this process."""
    made: list[WorkerPool] = []

    def pool() -> WorkerPool:
        if not made and workers == 0:
            made.append(LocalPool(recipe, data))
        elif not made:
            from nas.evaluate.workers.ray_pool import RayPool

            made.append(RayPool(recipe, data, workers=workers))
        return made[0]

    try:
        yield pool
    finally:
        for one in made:
            one.close()


def check_images(evaluation: Evaluation) -> None:
    """Stop where the images are gone: that is no network's failure, and nothing is written down for it.

    Raises:
        WorkError: saying so.
    """
    if evaluation.fault == "data":
        raise WorkError(f"{evaluation.error}. Put them back, and give the same command again")
