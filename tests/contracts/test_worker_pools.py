"""The suite every worker pool passes, in the calling process and on Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.evaluate.evaluators import EvaluatorRecipe
from nas.evaluate.faults import Job
from nas.evaluate.worker_pool import LocalPool, Outcome, WorkerPool
from nas.search_spaces.records import Architecture
from nas.search_spaces.user_code import UserCode
from tests.toys import TOY_EVALUATORS

MakePool = Callable[..., WorkerPool]


def recipe(class_name: str, timeout_s: float | None = None, **options: Any) -> EvaluatorRecipe:
    return EvaluatorRecipe(
        code=UserCode("/nowhere/toys.py", class_name, TOY_EVALUATORS), options=options, timeout_s=timeout_s
    )


def job(number: int, *genes: int) -> Job:
    return Job(number, Architecture("space", genes or (number,)), None, seed=number)


def gather(pool: WorkerPool, count: int, seconds: float = 60) -> list[Outcome]:
    outcomes: list[Outcome] = []
    end = time.monotonic() + seconds
    while len(outcomes) < count and time.monotonic() < end:
        outcomes += pool.gather(0.2)
    assert len(outcomes) == count
    return outcomes


@pytest.fixture(params=["local", "ray"])
def make_pool(request: pytest.FixtureRequest) -> Iterator[MakePool]:
    made: list[WorkerPool] = []

    def make(used: EvaluatorRecipe, workers: int = 2, **options: Any) -> WorkerPool:
        if request.param == "local":
            made.append(LocalPool(used, None))
        else:
            from nas.evaluate.ray_pool import RayPool

            made.append(RayPool(used, None, workers=workers, **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close()
        pool.close()  # twice is allowed


def test_evaluates_every_job_with_a_class_that_only_travels_as_text(make_pool: MakePool) -> None:
    pool = make_pool(recipe("Sine"))
    results: dict[int, float] = {}
    for number in range(6):
        pool.submit(job(number))
        if (number + 1) % pool.capacity == 0:
            outcomes = gather(pool, pool.capacity)
            results |= {done.number: evaluation.metrics["accuracy"] for done, evaluation in outcomes}
    import math

    assert results == {number: pytest.approx(0.5 + 0.4 * math.sin(number) ** 2) for number in range(6)}
    assert pool.gather(0.01) == []


def test_every_fault_is_a_value_and_the_pool_goes_on(make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(recipe("Faulty", timeout_s=1.5, folder=str(tmp_path)), workers=1)
    found = []
    for number in range(7):
        pool.submit(job(number))
        ((_, evaluation),) = gather(pool, 1)
        found.append((evaluation.status, evaluation.fault, evaluation.error or ""))
    assert [(status, fault) for status, fault, _ in found] == [
        ("ok", ""),
        ("failed", "diverged"),
        ("failed", "out_of_memory"),
        ("failed", "timeout"),
        ("failed", "exception"),
        ("failed", "exception"),
        ("ok", ""),
    ]
    assert "nan" in found[1][2] and "no room" in found[2][2] and "timed out after 1.5 s" in found[3][2]
    assert found[4][2].startswith("ValueError: an odd network (toys.py, line")
    assert "expected a fraction from 0 to 1, got 66.3" in found[5][2]


def test_an_evaluator_that_cannot_be_made_is_a_value(make_pool: MakePool) -> None:
    pool = make_pool(recipe("Sine", wrong_option=1))
    pool.submit(job(0))
    ((_, evaluation),) = gather(pool, 1)
    assert evaluation.status == "failed" and evaluation.fault == "exception"
    assert "could not be made: TypeError" in (evaluation.error or "")


def test_a_slow_job_idles_nobody() -> None:
    from nas.evaluate.ray_pool import RayPool

    pool = RayPool(recipe("Uneven"), None, workers=2)
    try:
        for number in range(2):  # both processes run before anything is timed
            pool.submit(job(number, 0))
        gather(pool, 2)
        pool.submit(job(10, 2))  # 0.3 s
        for number in range(3):
            pool.submit(job(number, 0))  # instant, on the other worker
            ((done, _),) = gather(pool, 1)
            assert done.number == number
        assert gather(pool, 1)[0][0].number == 10
    finally:
        pool.close()


def test_killed_workers_are_replaced_and_their_jobs_tried_again(tmp_path: Path) -> None:
    from nas.evaluate.ray_pool import RayPool

    pool = RayPool(recipe("KilledOnce", marker=str(tmp_path / "marker")), None, workers=1)
    try:
        pool.submit(job(0))
        ((_, evaluation),) = gather(pool, 1)
        assert evaluation.status == "ok" and (tmp_path / "marker").exists()
    finally:
        pool.close()


def test_a_job_that_always_kills_its_worker_fails_after_bounded_retries() -> None:
    from nas.evaluate.ray_pool import RayPool

    pool = RayPool(recipe("KilledAlways"), None, workers=1, retries=1)
    try:
        pool.submit(job(0))
        ((_, evaluation),) = gather(pool, 1)
        assert (evaluation.status, evaluation.fault) == ("failed", "worker_died")
        assert "its worker died 2 times" in (evaluation.error or "")
        pool.submit(job(1))  # the pool still has its worker
        assert gather(pool, 1)[0][0].number == 1
    finally:
        pool.close()


def test_a_worker_that_does_not_stop_is_killed_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.evaluate import ray_pool

    monkeypatch.setattr(ray_pool, "_GRACE_S", 1.0)
    pool = ray_pool.RayPool(recipe("Stubborn", timeout_s=0.5), None, workers=1)
    try:
        pool.submit(job(0))
        ((_, evaluation),) = gather(pool, 1)
        assert (evaluation.status, evaluation.fault) == ("failed", "timeout")
        assert "did not stop; its worker was killed" in (evaluation.error or "")
        pool.submit(job(1))
        assert gather(pool, 1)[0][0].number == 1
    finally:
        pool.close()


def test_gpus_that_are_not_there_are_refused() -> None:
    import ray

    from nas.evaluate.ray_pool import RayPool
    from nas.search_spaces.errors import InputError

    with pytest.raises(InputError, match=r"gpus_per_worker: asked for 0.5, but Ray sees no GPU"):
        RayPool(recipe("Sine"), None, workers=1, gpus_per_worker=0.5)
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    ("gpus", "workers", "asked", "share", "fit"),
    [
        (0, 4, None, 0.0, 4),
        (1, 4, None, 0.25, 4),
        (2, 3, None, 0.5, 3),
        (3, 8, None, 0.3333, 8),
        (4, 2, None, 1.0, 2),
        (1, 2, 0.6, 0.6, 1),
        (4, 3, 2.0, 2.0, 2),
    ],
)
def test_gpu_shares_that_really_fit(
    gpus: int, workers: int, asked: float | None, share: float, fit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from nas.evaluate import ray_pool

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": float(gpus)})
    assert ray_pool._fit(workers, asked) == (share, fit)


def test_workers_that_do_not_fit_are_left_out_not_waited_for() -> None:
    """On a cluster with one CPU; a third worker would never start."""
    from ray.cluster_utils import Cluster

    from nas.evaluate.ray_pool import RayPool

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        pool = RayPool(recipe("Sine"), None, workers=3, address=cluster.address)
        assert pool.capacity == 1
        pool.submit(job(0))
        gather(pool, 1)
        pool.close()
    finally:
        cluster.shutdown()


def test_a_cluster_that_is_not_there_is_refused_at_once() -> None:
    from nas.evaluate.ray_pool import RayPool
    from nas.search_spaces.errors import InputError

    for address in ("127.0.0.1:1", "auto"):
        with pytest.raises(InputError, match="expected a running Ray cluster"):
            RayPool(recipe("Sine"), None, workers=1, address=address)
