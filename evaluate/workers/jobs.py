"""Run a list of evaluations on a pool of workers that starts when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from nas.core.records import Evaluation
from nas.evaluate.contract import Job
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.workers.pool import LocalPool, WorkerPool
from nas.evaluate.workers.settings import WorkerSettings

PoolStarter = Callable[[], WorkerPool]
INSTANT_BATCH = 25  # number of evaluations that are taken and saved together if nothing is trained
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
def open_pool(
    recipe: EvaluatorRecipe,
    images: Callable[[], ImageData | None],
    settings: WorkerSettings,
    count: int,
    batch: int = 1,
) -> Iterator[PoolStarter]:
    """Yield a function that returns the pool. It starts the pool at the first call; leaving the context closes it.

    Args:
        recipe: how workers make the evaluator.
        images: loads the images, when the pool starts.
        settings: settings of the workers.
        count: number of Ray workers; 0 evaluates in this process.
        batch: number of evaluations taken together if ``count`` is 0.

    Raises:
        InputError, WorkError: by the yielded function, if the images cannot be loaded or the workers cannot be started.
    """
    started: list[WorkerPool] = []

    def pool() -> WorkerPool:
        if not started:
            started.append(_start_pool(recipe, images(), settings, count, batch))
        return started[0]

    try:
        yield pool
    finally:
        for one in started:
            one.close()


def _start_pool(
    recipe: EvaluatorRecipe, data: ImageData | None, settings: WorkerSettings, count: int, batch: int
) -> WorkerPool:
    if count == 0:
        return LocalPool(recipe, data, batch)
    from nas.evaluate.workers.ray_pool import RayPool

    trains_on_cpu = recipe.proxy is not None and settings.train_device == "cpu"
    return RayPool(
        recipe,
        data,
        workers=count,
        gpus_per_worker=0.0 if trains_on_cpu else settings.gpus_per_worker,
        address=None if settings.address == "local" else settings.address,
        retries=settings.retries,
        shared_files=settings.shared_files,
    )
