"""Joining a Ray cluster, what it can hold, and how code and images reach its nodes."""

# ruff: noqa: E402 (Ray reads the environment when it is imported)

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
from pathlib import Path
from typing import Any

from nas.evaluate.workers.ray_environment import quiet_ray

quiet_ray()

import ray

from nas.core.errors import InputError
from nas.evaluate.data.image_data import ImageData

_log = logging.getLogger(__name__)
STORE_SHARE = 0.6  # of the object store that the images may take
CODE_LEFT_OUT = ["**/__pycache__", "**/*.pyc"]


def connect(address: str | None, workers: int) -> None:
    """Start a local cluster, or join one and send it this package's own code.

    Raises:
        InputError: if there is none at ``address``.
    """
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    with _own_signals():
        if address is None:
            cpus = max(workers, os.cpu_count() or 1)
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
            return
        try:
            _check_listens(address)
            code = {"py_modules": [str(Path(__file__).parents[2])], "excludes": CODE_LEFT_OUT}
            ray.init(address=address, runtime_env=code, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"address: expected a running Ray cluster at '{address}', found none ({first_line(error)}); "
                "start one with 'ray start --head', or leave --address out"
            ) from None


def start_and_stop() -> float:
    """Start a local cluster of one worker, let it do something, and end it; return the seconds that it took.

    Raises:
        RuntimeError, OSError: if it cannot be started.
    """
    start = time.monotonic()
    connect(None, 1)
    try:
        ray.get(ray.remote(num_cpus=1)(_process).remote(), timeout=60)
    finally:
        ray.shutdown()
    return time.monotonic() - start


def _process() -> int:
    return os.getpid()


def fit(workers: int, gpus_per_worker: float | None, strict: bool = True) -> tuple[float, int]:
    """Return each worker's GPU share and how many workers the cluster can hold; more would wait for ever.

    A share below 1 has to lie on one GPU, so four workers on three GPUs get a half each, not three quarters.

    Args:
        workers: how many are wanted.
        gpus_per_worker: the share of each; ``None`` shares the GPUs evenly.
        strict: whether to complain.

    Raises:
        InputError: if not even one fits, where that is to be complained of.
    """
    resources = ray.cluster_resources()
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    share = gpus_per_worker
    if share is None:
        share = 1 / math.ceil(workers / gpus) if gpus else 0.0
        share = math.floor(share * 10_000) / 10_000  # Ray's own granularity
    if strict and share > 0 and gpus == 0:
        raise InputError(f"gpus_per_worker: asked for {share:g}, but Ray sees no GPU; use 0")
    by_gpu = workers if share == 0 else gpus * int(1 / share) if share <= 1 else int(gpus / share)
    capacity = min(workers, cpus, by_gpu)
    if not strict:
        return share, max(0, capacity)
    if capacity < 1:
        raise InputError(
            f"workers: a worker needs 1 CPU and {share:g} GPU; the cluster has {cpus} CPUs and {gpus} GPUs"
        )
    if capacity < workers:
        _log.warning("%d of %d workers fit on %d CPUs and %d GPUs for now", capacity, workers, cpus, gpus)
    return share, capacity


def send_data(data: ImageData | None, same_files: bool) -> Any:
    """Put the images where every worker finds them.

    Args:
        data: the images.
        same_files: whether every node sees the prepared files at their path; then only their path travels, and the
            page cache holds them once for all workers of a node. Else they go into the object store, once a node.

    Raises:
        InputError: if they do not fit in there.
    """
    if data is None or same_files:
        return ray.put(data)
    store = ray.cluster_resources().get("object_store_memory", 0.0) / max(1, len(ray.nodes()))
    if data.size_bytes > STORE_SHARE * store:
        raise InputError(
            f"address: the images ({data.size_bytes / 2**30:.1f} GiB) do not fit in the cluster's object store "
            f"({store / 2**30:.1f} GiB a node); put the prepared folder at the same path on every node and give --set "
            "workers.shared_files=true, or lower data.resolution or data.fraction"
        )
    return ray.put(data.resident())


def first_line(error: BaseException) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


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


def _check_listens(address: str) -> None:
    """Fail within seconds where nothing listens at ``host:port``; Ray itself would wait for more than a minute."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
