"""Persistent Ray actors as workers: images travel once through the object store, slow trials idle nobody.

The only file that imports Ray.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Read when Ray is first imported: no usage reports, no tokens, no raylet messages on our terminal (a worker's death is
# reported by us), and CUDA_VISIBLE_DEVICES left alone where no GPU is asked for.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError

from nas.evaluate.data.image_data import ImageData
from nas.evaluate.evaluators import EvaluatorRecipe
from nas.evaluate.faults import Job
from nas.evaluate.worker_pool import Outcome, Worker
from nas.search_spaces.errors import InputError, WorkError
from nas.search_spaces.records import Evaluation

_log = logging.getLogger(__name__)
_GRACE_S = 30.0  # what a worker has beyond the time limit before it is taken for hung and killed


@dataclass(slots=True)
class _Slot:
    """A worker's place: the actor, and the reference that is ready once its process runs."""

    actor: Any
    ready: Any
    runs: bool = False


@dataclass(slots=True)
class _Running:
    """A job in flight; its clock starts when its worker's process runs."""

    job: Job
    slot: _Slot
    deaths: int
    started: float


class RayPool:
    """A pool of Ray actors, one trial each at a time.

    Args:
        recipe: how each worker makes its evaluator.
        data: the images, put into the object store once.
        workers: how many actors.
        gpus_per_worker: GPU share of each; ``None`` shares the GPUs evenly.
        address: an existing cluster (``auto``, ``host:port``, ``ray://...``); ``None`` starts a local one, whatever
            ``RAY_ADDRESS`` says.
        retries: how often a job is tried again after its worker died.

    Raises:
        InputError: if the cluster cannot be joined or cannot hold one such worker.
    """

    def __init__(
        self,
        recipe: EvaluatorRecipe,
        data: ImageData | None,
        *,
        workers: int,
        gpus_per_worker: float | None = None,
        address: str | None = None,
        retries: int = 2,
    ) -> None:
        self._recipe, self._retries = recipe, retries
        with _own_signals():
            _connect(address, workers)
        try:
            gpus, self.capacity = _fit(workers, gpus_per_worker)
            self._actor_class = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(Worker)
            self._data = ray.put(data)
            self._idle = [self._new_slot() for _ in range(self.capacity)]
        except BaseException:
            ray.shutdown()
            raise
        self._running: dict[Any, _Running] = {}

    def submit(self, job: Job) -> None:
        """Start a job on an idle worker."""
        self._start(job, self._idle.pop(), deaths=0)

    def gather(self, timeout_s: float) -> list[Outcome]:
        """Return what has finished, waiting up to ``timeout_s`` for the first."""
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout_s)
        more, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        outcomes = [self._finish(reference) for reference in dict.fromkeys([*ready, *more])]
        outcomes += self._kill_hung()
        return [outcome for outcome in outcomes if outcome is not None]

    def close(self) -> None:
        """Kill the workers and leave the cluster; a local one ends with this."""
        for slot in [*self._idle, *(running.slot for running in self._running.values())]:
            _kill(slot)
        self._idle, self._running = [], {}
        ray.shutdown()

    def _start(self, job: Job, slot: _Slot, deaths: int) -> None:
        reference = slot.actor.run.remote(job)
        self._running[reference] = _Running(job, slot, deaths, time.monotonic())

    def _finish(self, reference: Any) -> Outcome | None:
        """Take a finished reference; a job whose worker died is started again, up to ``retries`` times."""
        running = self._running.pop(reference)
        try:
            evaluation: Evaluation = ray.get(reference)
        except (RayActorError, OutOfMemoryError) as error:
            return self._died(running, error)
        except RayError as error:
            if not ray.is_initialized():
                raise WorkError(f"the Ray cluster is gone: {_first_line(error)}") from None
            return self._died(running, error)
        if evaluation.fault == "device":
            _kill(running.slot)
            running.slot = self._new_slot()
        self._idle.append(running.slot)
        return running.job, evaluation

    def _died(self, running: _Running, error: Exception) -> Outcome | None:
        _kill(running.slot)
        slot = self._new_slot()
        deaths = running.deaths + 1
        if deaths <= self._retries:
            self._start(running.job, slot, deaths)
            return None
        self._idle.append(slot)
        seconds = time.monotonic() - running.started
        fault = "out_of_memory" if isinstance(error, OutOfMemoryError) else "worker_died"
        text = f"its worker died {deaths} times, the last time: {_first_line(error)}"
        return running.job, Evaluation(running.job.architecture, "failed", {}, seconds, text, fault)

    def _kill_hung(self) -> list[Outcome | None]:
        """Kill workers that are past their time limit and did not end the trial themselves."""
        limit = self._recipe.timeout_s
        outcomes: list[Outcome | None] = []
        if limit is None:
            return outcomes
        for reference, running in list(self._running.items()):
            if not running.slot.runs:
                running.started = time.monotonic()
                running.slot.runs = bool(ray.wait([running.slot.ready], timeout=0)[0])
            seconds = time.monotonic() - running.started
            if seconds < limit + _GRACE_S:
                continue
            del self._running[reference]
            _kill(running.slot)
            self._idle.append(self._new_slot())
            error = f"timed out after {limit:g} s and did not stop; its worker was killed"
            outcomes.append(
                (running.job, Evaluation(running.job.architecture, "failed", {}, seconds, error, "timeout"))
            )
        return outcomes

    def _new_slot(self) -> _Slot:
        actor = self._actor_class.remote(self._recipe, self._data)
        return _Slot(actor, actor.__ray_ready__.remote())


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the process's handlers: Ray installs one for SIGTERM that aborts with a stack trace."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _connect(address: str | None, workers: int) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if address is None:
        cpus = max(workers, os.cpu_count() or 1)
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
        return
    try:
        _check_listens(address)
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"address: expected a running Ray cluster at '{address}', found none ({_first_line(error)}); "
            "start one with 'ray start --head', or leave --address out"
        ) from None


def _check_listens(address: str) -> None:
    """Fail within seconds where nothing listens at ``host:port``; Ray itself would wait for more than a minute."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


def _fit(workers: int, gpus_per_worker: float | None) -> tuple[float, int]:
    """Return each worker's GPU share and how many workers the cluster can hold; more would wait for ever.

    A share below 1 has to lie on one GPU, so four workers on three GPUs get a half each, not three quarters.

    Raises:
        InputError: if not even one fits.
    """
    resources = ray.cluster_resources()
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    share = gpus_per_worker
    if share is None:
        share = 1 / math.ceil(workers / gpus) if gpus else 0.0
        share = math.floor(share * 10_000) / 10_000  # Ray's own granularity
    if share > 0 and gpus == 0:
        raise InputError(f"gpus_per_worker: asked for {share:g}, but Ray sees no GPU; use 0")
    by_gpu = workers if share == 0 else gpus * int(1 / share) if share <= 1 else int(gpus / share)
    capacity = min(workers, cpus, by_gpu)
    if capacity < 1:
        raise InputError(
            f"workers: a worker needs 1 CPU and {share:g} GPU; the cluster has {cpus} CPUs and {gpus} GPUs"
        )
    if capacity < workers:
        _log.warning(
            "%d of %d workers fit on %d CPUs and %d GPUs; the others are left out", capacity, workers, cpus, gpus
        )
    return share, capacity


def _kill(slot: _Slot) -> None:
    with contextlib.suppress(RayError, ValueError):  # dead already
        ray.kill(slot.actor, no_restart=True)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
