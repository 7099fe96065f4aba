"""Persistent Ray actors as workers, as many as the cluster currently holds; no worker waits for a slow trial.

Only this file, ``ray_cluster``, and ``nas.training.distributed`` (for Ray Train) import Ray.
"""

# ruff: noqa: E402 (Ray reads the environment when it is imported)
from __future__ import annotations

import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas.evaluate.workers.ray_environment import quiet_ray

quiet_ray()

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayError

from nas.core.errors import WorkError
from nas.core.records import Evaluation
from nas.evaluate.contract import Job
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.workers.pool import Finished, Worker
from nas.evaluate.workers.ray_cluster import connect, first_line, fit, send_data

_log = logging.getLogger(__name__)
_GRACE_S = 30.0  # seconds beyond the time limit after which a worker counts as hung and is killed
_LOOK_S = 2.0  # seconds between two checks of the cluster's resources
_LONELY_S = 15.0  # seconds without any worker before a warning is logged
_MOVE_LIMIT = 10  # times that a trial may lose its node before this counts as a death of its worker
_START_LIMIT = 3  # number of workers in a row that fail to start before the run stops


class _RayWorker(Worker):
    """A worker that reports its node."""

    def node(self) -> str:
        """Return the id of the node this process runs on; the first result shows that the process has started."""
        return str(ray.get_runtime_context().get_node_id())


@dataclass(slots=True, eq=False)
class _Slot:
    """One worker of the pool.

    Attributes:
        actor: the Ray actor.
        ready: reference that is ready once the actor's process runs.
        alive: nodes that were alive when the actor was created.
        node: id of the actor's node; empty until the process runs.
    """

    actor: Any
    ready: Any
    alive: frozenset[str]
    node: str = ""


@dataclass(slots=True)
class _Queued:
    """A job that waits for a worker."""

    job: Job
    deaths: int = 0
    moves: int = 0


@dataclass(slots=True)
class _Running:
    """A job in flight."""

    queued: _Queued
    slot: _Slot
    started: float


class RayPool:
    """A pool of Ray actors, each of which runs one trial at a time.

    Nodes may join and leave the cluster while the pool works: workers start where there is room, up to ``workers``, and
    a job whose node left is run again on another node.

    Args:
        recipe: how each worker makes its evaluator.
        data: the images. With a local cluster or ``shared_files``, every worker maps them from their file; else they
            are sent through the object store, once per node.
        workers: requested number of actors.
        gpus_per_worker: GPU share of each; ``None`` shares the GPUs evenly.
        address: an existing cluster (``auto``, ``host:port``, ``ray://...``); ``None`` starts a local one and
            ignores ``RAY_ADDRESS``.
        retries: number of retries of a job after its worker died; retries after its node left are not counted.
        shared_files: whether the prepared images lie at the same path on every node of the cluster.

    Raises:
        InputError: if the cluster cannot be joined or cannot hold a single such worker.
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
        shared_files: bool = False,
    ) -> None:
        self._retries, self._wanted, self._limit_s = retries, workers, recipe.timeout_s
        self._owns_ray = connect(address, workers)
        try:
            self.gpus_per_worker, count = fit(workers, gpus_per_worker)
            self._recipe = replace(recipe, gpu_share=self.gpus_per_worker or 1.0)
            self._actor_class = ray.remote(num_cpus=1, num_gpus=self.gpus_per_worker, max_restarts=0)(_RayWorker)
            self._data = send_data(data, address is None or shared_files)
            self._starting = [self._new_slot() for _ in range(count)]
        except BaseException:
            if self._owns_ray:
                ray.shutdown()
            raise
        self._idle: list[_Slot] = []
        self._queue: deque[_Queued] = deque()
        self._running: dict[Any, _Running] = {}
        self._homes: dict[str, str] = {}  # the node of each checkpoint, by key
        self._forgotten: dict[str, list[str]] = defaultdict(list)
        self._failed_starts, self._looked, self._alone_since = 0, time.monotonic(), time.monotonic()

    @property
    def capacity(self) -> int:
        """Number of running and starting workers; 1 while the cluster has no room for a worker."""
        return max(1, len(self._starting) + len(self._idle) + len(self._running))

    def submit(self, job: Job) -> None:
        """Start a job on an idle worker, or queue it until a worker is idle."""
        self._queue.append(_Queued(job))
        self._dispatch()

    def gather(self, timeout_s: float) -> list[Finished]:
        """Return the finished jobs, waiting up to ``timeout_s`` seconds for the first."""
        outcomes: list[Finished] = []
        end = time.monotonic() + timeout_s
        while not outcomes:
            left = max(0.0, end - time.monotonic())
            for reference in self._wait(left):
                if reference in self._running:
                    outcomes += self._finish(reference)
                else:
                    self._greet(reference)
            outcomes += self._kill_hung()
            self._follow_cluster()
            self._dispatch()
            if left <= 0 or not (self._running or self._queue):
                break
        return outcomes

    def forget(self, checkpoints: Sequence[str]) -> None:
        """Mark checkpoints of paused trainings for removal; the next free worker of their node removes them.

        The node of a checkpoint from an earlier process is unknown, so every node looks for it.
        """
        nodes = {slot.node for slot in [*self._idle, *(running.slot for running in self._running.values())]}
        for key in checkpoints:
            home = self._homes.pop(key, None)
            for node in nodes if home is None else [home]:
                self._forgotten[node].append(key)

    def close(self) -> None:
        """Kill the workers and leave the cluster; a local cluster that was started here is stopped.

        Checkpoints of paused trainings stay on their nodes, so that the run can be resumed.
        """
        if ray.is_initialized():
            done = [self._sweep(slot) for slot in self._idle if self._forgotten[slot.node]]
            with contextlib.suppress(RayError):
                ray.wait(done, num_returns=len(done), timeout=10.0) if done else None
            for slot in [*self._starting, *self._idle, *(running.slot for running in self._running.values())]:
                _kill(slot)
        self._starting, self._idle, self._running = [], [], {}
        self._queue.clear()
        if self._owns_ray:
            ray.shutdown()

    def _wait(self, timeout_s: float) -> list[Any]:
        """Return the references that are ready: finished jobs and started workers."""
        references = [*self._running, *(slot.ready for slot in self._starting)]
        if not references:
            time.sleep(min(timeout_s, _LOOK_S))
            return []
        ready, _ = ray.wait(references, num_returns=1, timeout=min(timeout_s, _LOOK_S))
        if ready:
            ready, _ = ray.wait(references, num_returns=len(references), timeout=0)
        return list(ready)

    def _greet(self, reference: Any) -> None:
        """Add a worker that has started to the idle workers.

        Raises:
            WorkError: if several workers in a row could not start.
        """
        slot = next(slot for slot in self._starting if slot.ready == reference)
        self._starting.remove(slot)
        try:
            slot.node = ray.get(reference)
        except RayError as error:
            self._check_cluster(error)
            _kill(slot)
            self._failed_starts += slot.alive <= _alive_nodes()  # if a node left, the failure is not counted
            if self._failed_starts >= _START_LIMIT:
                raise WorkError(
                    f"{self._failed_starts} workers in a row could not start: {first_line(error)}; every node needs "
                    "this package's dependencies (torch, torchvision, numpy, ...) installed"
                ) from None
            self._starting.append(self._new_slot())
            return
        self._failed_starts = 0
        self._idle.append(slot)

    def _dispatch(self) -> None:
        """Give queued jobs to idle workers; a paused training prefers a worker on the node of its checkpoint."""
        while self._queue and self._idle:
            queued = self._queue.popleft()
            home = self._homes.get(queued.job.checkpoint)
            slot = next((slot for slot in self._idle if slot.node == home), self._idle[-1])
            self._idle.remove(slot)
            if self._forgotten[slot.node]:
                self._sweep(slot)
            reference = slot.actor.run.remote(queued.job)
            self._running[reference] = _Running(queued, slot, time.monotonic())

    def _sweep(self, slot: _Slot) -> Any:
        return slot.actor.forget.remote(self._forgotten.pop(slot.node))

    def _finish(self, reference: Any) -> list[Finished]:
        """Process a finished reference; a job whose worker died is run again, up to ``retries`` times."""
        running = self._running.pop(reference)
        try:
            evaluation: Evaluation = ray.get(reference)
        except RayError as error:
            self._check_cluster(error)
            return self._died(running, error)
        job = running.queued.job
        if evaluation.fault == "device":
            _kill(running.slot)
            self._starting.append(self._new_slot())
        else:
            self._idle.append(running.slot)
        if job.pause and evaluation.status == "ok":
            before = self._homes.get(job.checkpoint, running.slot.node)
            self._homes[job.checkpoint] = running.slot.node
            if before != running.slot.node:
                self._forgotten[before].append(job.checkpoint)
        return [(job, evaluation)]

    def _died(self, running: _Running, error: Exception) -> list[Finished]:
        _kill(running.slot)
        queued = running.queued
        lost = isinstance(error, ActorUnavailableError) or running.slot.node not in _alive_nodes()
        if lost and queued.moves < _MOVE_LIMIT:
            queued.moves += 1
            _log.warning("a node left the cluster, or cannot be reached; trial %d is run again", queued.job.number)
        else:
            queued.deaths += 1
            self._starting.append(self._new_slot())
        if queued.deaths <= self._retries:
            self._queue.appendleft(queued)
            return []
        seconds = time.monotonic() - running.started
        fault = "out_of_memory" if isinstance(error, OutOfMemoryError) else "worker_died"
        text = f"its worker died {queued.deaths} times, the last time: {first_line(error)}"
        return [(queued.job, Evaluation(queued.job.architecture, "failed", {}, seconds, text, fault))]

    def _kill_hung(self) -> list[Finished]:
        """Kill workers that are past their time limit and did not end the trial themselves."""
        outcomes: list[Finished] = []
        if self._limit_s is None:
            return outcomes
        for reference, running in list(self._running.items()):
            seconds = time.monotonic() - running.started
            limit_s = running.queued.job.time_limit_s(self._limit_s)
            if limit_s is None or seconds < limit_s + _GRACE_S:
                continue
            del self._running[reference]
            _kill(running.slot)
            self._starting.append(self._new_slot())
            error = f"timed out after {limit_s:g} s and did not stop; its worker was killed"
            job = running.queued.job
            outcomes.append((job, Evaluation(job.architecture, "failed", {}, seconds, error, "timeout")))
        return outcomes

    def _follow_cluster(self) -> None:
        """Adjust the number of workers to the request and the cluster's capacity: nodes may have joined or left."""
        now = time.monotonic()
        if self._idle or self._running:
            self._alone_since = now
        elif now - self._alone_since > _LONELY_S:
            _log.warning("no worker runs in the cluster now; waiting for a node with free resources")
            self._alone_since = now + 20 * _LONELY_S
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        alive = _alive_nodes()
        for slot in [slot for slot in self._idle if slot.node not in alive]:
            self._idle.remove(slot)
        _, count = fit(self._wanted, self.gpus_per_worker, strict=False)
        missing = count - len(self._starting) - len(self._idle) - len(self._running)
        for _ in range(-missing):
            if self._starting:
                _kill(self._starting.pop())
        self._starting += [self._new_slot() for _ in range(missing)]

    def _check_cluster(self, error: Exception) -> None:
        if not ray.is_initialized():
            raise WorkError(f"the Ray cluster is gone: {first_line(error)}") from None

    def _new_slot(self) -> _Slot:
        actor = self._actor_class.remote(self._recipe, self._data)
        return _Slot(actor, actor.node.remote(), _alive_nodes())


def _alive_nodes() -> frozenset[str]:
    return frozenset(node["NodeID"] for node in ray.nodes() if node["Alive"])


def _kill(slot: _Slot) -> None:
    with contextlib.suppress(RayError, ValueError):  # dead already
        ray.kill(slot.actor, no_restart=True)
