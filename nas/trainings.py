"""Running a list of trainings on a pool, and what several trainings of one network say about chance."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.config import RunConfig
from nas.core.errors import WorkError
from nas.core.journal import append_lines
from nas.core.records import Evaluation
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.evaluators import EvaluatorRecipe
from nas.evaluate.faults import Job
from nas.evaluate.worker_pool import LocalPool, WorkerPool
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_dict

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
            from nas.evaluate.ray_pool import RayPool

            made.append(RayPool(recipe, data, workers=workers))
        return made[0]

    try:
        yield pool
    finally:
        for one in made:
            one.close()


def digest(config: RunConfig, networks: Iterable[Network]) -> str:
    """Return what stands for all that decides trainings beside their seeds: settings, images and networks."""
    data, evaluator = config.model_dump(mode="json")["data"], config.evaluator
    tables = [network_to_dict(network) for network in networks]
    text = json.dumps([config.seed, evaluator, data, tables], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Noise:
    """What chance does to one training.

    Attributes:
        deviation: standard deviation within networks, pooled over them.
        freedom: degrees of freedom it is estimated with.
    """

    deviation: float
    freedom: int

    def smallest_difference(self, first: int = 1, second: int = 1) -> float:
        """Return the difference of two means that chance exceeds in 5% of cases, for so many trainings of each.

        By Student's t: a deviation that is estimated from few trainings is no certainty itself.
        """
        from scipy.stats import t

        return float(t.ppf(0.975, self.freedom)) * self.deviation * math.sqrt(1 / first + 1 / second)


def measure_noise(groups: Iterable[Sequence[float]]) -> Noise | None:
    """Measure the noise within groups that have means of their own; ``None`` if no group has two values."""
    squares, freedom = 0.0, 0
    for group in groups:
        if len(group) > 1:
            mean = statistics.fmean(group)
            squares += sum((value - mean) ** 2 for value in group)
            freedom += len(group) - 1
    return Noise(math.sqrt(squares / freedom), freedom) if freedom else None


def save_training(path: Path, row: Mapping[str, Any]) -> None:
    """Add a training to a journal that the same command goes on from.

    Raises:
        WorkError: if it cannot be written; what is there is safe.
    """
    try:
        append_lines(path, [row])
    except OSError as error:
        raise WorkError(
            f"{path}: a training could not be saved ({error.strerror}); what is there is safe. Free space and give the "
            "same command again"
        ) from None


def check_images(evaluation: Evaluation) -> None:
    """Stop where the images are gone: that is no network's failure, and nothing is written down for it.

    Raises:
        WorkError: saying so.
    """
    if evaluation.fault == "data":
        raise WorkError(f"{evaluation.error}. Put them back, and give the same command again")
