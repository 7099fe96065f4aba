"""Worker pools: their asynchronous protocol, the worker of each process, and the pool in the calling process.

The pool on Ray, which replaces workers that die, is in ``ray_pool.py``.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from nas.core.errors import DataGone, WorkError
from nas.core.records import Evaluation
from nas.core.user_code import describe, kept_directory
from nas.evaluate.contract import Evaluator, Job
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.proxy.paused import forget_checkpoints
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.workers.guard import evaluate_safely
from nas.evaluate.workers.memory import MemoryWatch

Finished = tuple[Job, Evaluation]


class WorkerPool(Protocol):
    """Evaluates jobs asynchronously; other workers do not wait for a slow job."""

    @property
    def capacity(self) -> int:
        """Number of jobs that can run at once now; at least 1."""
        ...

    @property
    def gpus_per_worker(self) -> float:
        """GPU share of each worker; 0 if no GPU is used."""
        ...

    def submit(self, job: Job) -> None:
        """Submit a job; at most ``capacity`` jobs may be unfinished."""

    def gather(self, timeout_s: float) -> list[Finished]:
        """Return the finished jobs, waiting up to ``timeout_s`` seconds for the first; empty if no job has finished."""

    def forget(self, checkpoints: Sequence[str]) -> None:
        """Remove checkpoints of paused trainings that will not be resumed, on every node."""

    def close(self) -> None:
        """Stop the workers; unfinished jobs are dropped. May be called twice."""


class Worker:
    """The object that runs in each worker process; it makes one evaluator at the first job and keeps it.

    Args:
        recipe: how to make the evaluator.
        data: the images, for evaluators that train.
    """

    def __init__(self, recipe: EvaluatorRecipe, data: ImageData | None) -> None:
        self._recipe, self._data = recipe, data
        self._evaluator: Evaluator | None = None
        self._memory: MemoryWatch | None = None

    def run(self, job: Job) -> Evaluation:
        """Evaluate one job; only ``KeyboardInterrupt`` is raised."""
        if self._evaluator is None:
            try:
                with kept_directory():
                    self._evaluator = self._recipe.make(self._data)
            except DataGone as error:
                return Evaluation(job.architecture, "failed", {}, 0.0, str(error), "data")
            except Exception as error:
                text = f"the evaluator could not be made: {describe(error)}"
                return Evaluation(job.architecture, "failed", {}, 0.0, text, "exception", traceback.format_exc())
            limit = self._recipe.memory_bytes
            self._memory = None if limit is None else MemoryWatch(limit)
        return evaluate_safely(self._evaluator, job, job.time_limit_s(self._recipe.timeout_s), self._memory)

    def forget(self, checkpoints: Sequence[str]) -> None:
        """Remove checkpoints of paused trainings from this node."""
        forget_checkpoints(checkpoints)


class LocalPool:
    """The pool of ``--workers 0``: one job at a time in the calling process, without Ray.

    Args:
        recipe: how to make the evaluator.
        data: the images, for evaluators that train.
        capacity: number of jobs taken at once; more than 1 if the evaluator is instant, to save trials in batches.
    """

    def __init__(self, recipe: EvaluatorRecipe, data: ImageData | None, capacity: int = 1) -> None:
        self._capacity, self._trains_on = capacity, recipe.device if recipe.proxy else "cpu"
        self._worker = Worker(recipe, data)
        self._jobs: deque[Job] = deque()
        self._broken = ""

    @property
    def capacity(self) -> int:
        """Number of jobs taken at once."""
        return self._capacity

    @property
    def gpus_per_worker(self) -> float:
        """1 if this process trains on a GPU, else 0."""
        if self._trains_on == "cpu":
            return 0.0
        from nas.evaluate.proxy.evaluator import choose_device

        return 1.0 if choose_device(self._trains_on) == "cuda" else 0.0

    def submit(self, job: Job) -> None:
        """Queue a job; it runs in ``gather``."""
        self._jobs.append(job)

    def gather(self, timeout_s: float) -> list[Finished]:  # noqa: ARG002 (every queued job is run to its end)
        """Run every queued job and return the jobs with their evaluations.

        Raises:
            WorkError: if the accelerator failed in an earlier call; it stays unusable in this process.
        """
        if self._broken:
            raise WorkError(f"the accelerator is unusable for this process: {self._broken}")
        outcomes = [(job, self._worker.run(job)) for job in self._jobs]
        self._jobs.clear()
        self._broken = next((str(done.error) for _, done in outcomes if done.fault == "device"), "")
        return outcomes

    def forget(self, checkpoints: Sequence[str]) -> None:
        """Remove checkpoints of paused trainings."""
        self._worker.forget(checkpoints)

    def close(self) -> None:
        """Drop the queued jobs."""
        self._jobs.clear()
