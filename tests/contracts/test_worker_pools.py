"""The suite every worker pool passes, in the calling process and on Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.core.records import Architecture
from nas.core.user_code import UserCode
from nas.evaluate.contract import Job
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.workers.pool import Finished, LocalPool, WorkerPool
from tests.conftest import write_images
from tests.toys import TINY_FORM, TOY_EVALUATORS

MakePool = Callable[..., WorkerPool]


def recipe(class_name: str, timeout_s: float | None = None, **options: Any) -> EvaluatorRecipe:
    return EvaluatorRecipe(
        code=UserCode("/nowhere/toys.py", class_name, {"toys.py": TOY_EVALUATORS.encode()}),
        options=options,
        timeout_s=timeout_s,
    )


def job(number: int, *genes: int) -> Job:
    return Job(number, Architecture("space", genes or (number,)), None, seed=number)


def gather(pool: WorkerPool, count: int, seconds: float = 60) -> list[Finished]:
    outcomes: list[Finished] = []
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
            from nas.evaluate.workers.ray_pool import RayPool

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
    from nas.evaluate.workers.ray_pool import RayPool

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
    from nas.evaluate.workers.ray_pool import RayPool

    pool = RayPool(recipe("KilledOnce", marker=str(tmp_path / "marker")), None, workers=1)
    try:
        pool.submit(job(0))
        ((_, evaluation),) = gather(pool, 1)
        assert evaluation.status == "ok" and (tmp_path / "marker").exists()
    finally:
        pool.close()


@pytest.mark.slow
def test_a_job_that_always_kills_its_worker_fails_after_bounded_retries() -> None:
    from nas.evaluate.workers.ray_pool import RayPool

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


@pytest.mark.slow
def test_a_worker_that_does_not_stop_is_killed_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.evaluate.workers import ray_pool

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


@pytest.mark.slow
def test_gpus_that_are_not_there_are_refused() -> None:
    import ray

    from nas.core.errors import InputError
    from nas.evaluate.workers.ray_pool import RayPool

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

    from nas.evaluate.workers import ray_cluster

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": float(gpus)})
    assert ray_cluster.fit(workers, asked) == (share, fit)


@pytest.mark.slow
def test_workers_that_do_not_fit_are_left_out_not_waited_for() -> None:
    """On a cluster with one CPU; a third worker would never start."""
    from ray.cluster_utils import Cluster

    from nas.evaluate.workers.ray_pool import RayPool

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        pool = RayPool(recipe("Sine"), None, workers=3, address=cluster.address)
        assert pool.capacity == 1
        pool.submit(job(0))
        gather(pool, 1)
        pool.close()
    finally:
        cluster.shutdown()


@pytest.mark.slow
def test_nodes_leave_and_join_while_the_pool_works(tmp_path: Path) -> None:
    """A node with a running trial goes: the trial runs again on one that joins, and is no death of its worker."""
    from ray.cluster_utils import Cluster

    from nas.evaluate.workers.ray_pool import RayPool

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        first = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        pool = RayPool(recipe("Gated", folder=str(tmp_path)), None, workers=2, address=cluster.address, retries=0)
        assert pool.capacity == 1
        pool.submit(job(0))
        while not list(tmp_path.glob("began-*")):
            assert pool.gather(0.5) == []
        cluster.remove_node(first, allow_graceful=False)
        for _ in range(3):
            assert pool.gather(1.0) == []
        (tmp_path / "open").touch()
        cluster.add_node(num_cpus=2)
        pool.submit(job(1))
        outcomes = gather(pool, 2)
        assert {done.number: evaluation.status for done, evaluation in outcomes} == {0: "ok", 1: "ok"}
        assert pool.capacity == 2  # both of the workers that were asked for, now that there is room
    finally:
        pool.close()
        cluster.shutdown()


@pytest.mark.slow
def test_images_travel_to_nodes_that_cannot_see_the_files(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    from nas.evaluate.data.load import load_data
    from nas.evaluate.data.settings import DataSettings
    from nas.evaluate.proxy.settings import ProxySettings
    from nas.evaluate.workers.ray_pool import RayPool
    from nas.search_spaces.stage_table import StageTableSpace

    write_images(tmp_path / "images", {"a": 20, "b": 20})
    data = load_data(DataSettings(source=str(tmp_path / "images"), resolution=16))
    space = StageTableSpace(TINY_FORM)
    architecture = Architecture("tiny", (0,) * len(space.gene_sizes))
    trained = Job(0, architecture, space.decode(architecture), 1)
    proxy = EvaluatorRecipe(ProxySettings(epochs=1), device="cpu")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    found = []
    try:
        for shared in (True, False):
            pool = RayPool(proxy, data, workers=1, address=cluster.address, shared_files=shared)
            if not shared:
                for file in Path(data.train.pixels.path).parent.iterdir():  # type: ignore[union-attr]
                    file.unlink()
            pool.submit(trained)
            found += gather(pool, 1)
            pool.close()
    finally:
        cluster.shutdown()
    (_, mapped), (_, sent) = found
    assert mapped.status == sent.status == "ok" and mapped.metrics == sent.metrics


def test_images_that_vanish_are_told_as_such(tmp_path: Path) -> None:
    from nas.evaluate.data.load import load_data
    from nas.evaluate.data.settings import DataSettings
    from nas.evaluate.proxy.settings import ProxySettings
    from nas.evaluate.workers.pool import Worker

    write_images(tmp_path / "images", {"a": 20, "b": 20})
    data = load_data(DataSettings(source=str(tmp_path / "images"), resolution=16))
    worker = Worker(EvaluatorRecipe(ProxySettings(epochs=1), device="cpu"), data)
    for file in Path(data.train.pixels.path).parent.glob("*.npy"):  # type: ignore[union-attr]
        file.unlink()
    evaluation = worker.run(job(0))
    assert (evaluation.status, evaluation.fault) == ("failed", "data")
    assert "cannot be read (FileNotFoundError" in (evaluation.error or "")


def test_a_broken_accelerator_ends_what_runs_in_its_process() -> None:
    from nas.core.errors import WorkError

    pool = LocalPool(recipe("BrokenGpu"), None)
    pool.submit(job(0))
    ((_, evaluation),) = pool.gather(0)
    assert evaluation.fault == "device"
    pool.submit(job(1))
    with pytest.raises(WorkError, match="the accelerator is unusable for this process: RuntimeError: CUDA error"):
        pool.gather(0)


def test_confirming_trainings_have_as_much_more_time_as_they_have_epochs() -> None:
    plain = job(0)
    assert plain.time_limit_s(None) is None and plain.time_limit_s(60) == 60
    assert replace(plain, time_limit_factor=3.0).time_limit_s(60) == 180
    assert replace(plain, time_limit_factor=0.2).time_limit_s(60) == 60


def test_a_trial_has_a_memory_limit_and_the_next_one_is_not_blamed(make_pool: MakePool) -> None:
    pool = make_pool(replace(recipe("Hungry"), memory_bytes=100e6), workers=1)
    found = []
    for number in range(4):
        pool.submit(job(number))
        ((_, evaluation),) = gather(pool, 1)
        found.append((evaluation.status, evaluation.fault))
    assert found == [("ok", ""), ("failed", "out_of_memory"), ("ok", ""), ("failed", "out_of_memory")]


@pytest.mark.slow
def test_a_paused_training_is_left_where_it_is_and_swept_away(make_pool: MakePool, tmp_path: Path) -> None:
    from nas.evaluate.proxy.paused import checkpoint_key, checkpoint_path

    pool = make_pool(recipe("Paused"), workers=1)
    key = checkpoint_key(str(tmp_path), 7)
    paused = replace(job(7), cycles=(1,), checkpoint=key, pause=True)
    for cycles, epochs in (((1,), 1), ((1, 2), 3)):
        pool.submit(replace(paused, cycles=cycles))
        ((_, evaluation),) = gather(pool, 1)
        assert evaluation.metrics == {"accuracy": 0.5, "epochs": epochs, "found": float(epochs > 1)}
    assert checkpoint_path(key).exists()
    pool.forget([key])
    pool.submit(job(8))
    gather(pool, 1)
    assert not checkpoint_path(key).exists() and not checkpoint_path(key).parent.exists()
    pool.submit(paused)
    gather(pool, 1)
    pool.close()
    assert checkpoint_path(key).exists()  # for when the run goes on
    later = make_pool(recipe("Paused"), workers=1)
    later.submit(job(9))
    gather(later, 1)
    later.forget([key])
    later.close()
    assert not checkpoint_path(key).exists()


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.core.errors import WorkError
    from nas.evaluate.workers.ray_pool import RayPool, _RayWorker

    class Unstartable(_RayWorker):
        def __init__(self, *_: Any) -> None:
            raise ModuleNotFoundError("No module named 'torch'")

    monkeypatch.setattr("nas.evaluate.workers.ray_pool._RayWorker", Unstartable)
    pool = RayPool(recipe("Sine"), None, workers=1)
    try:
        pool.submit(job(0))
        with pytest.raises(WorkError, match="3 workers in a row could not start"):
            gather(pool, 1)
    finally:
        pool.close()


def test_a_cluster_that_is_not_there_is_refused_at_once() -> None:
    from nas.core.errors import InputError
    from nas.evaluate.workers.ray_pool import RayPool

    for address in ("127.0.0.1:1", "auto"):
        with pytest.raises(InputError, match="expected a running Ray cluster"):
            RayPool(recipe("Sine"), None, workers=1, address=address)
