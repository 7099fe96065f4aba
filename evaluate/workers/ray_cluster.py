"""Connection to a Ray cluster, its capacity, and the transfer of code and images to its nodes."""

# ruff: noqa: E402 (Ray reads the environment when it is imported)

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas.evaluate.workers.ray_environment import quiet_ray

quiet_ray()

import ray

from nas.core.cores import available_cores
from nas.core.errors import InputError
from nas.evaluate.data.image_data import ImageData

_log = logging.getLogger(__name__)
_MOST_FOLDER_BYTES = 40  # a socket's path has at most 107; Ray adds a session's name and its own folders
_STORE_SHARE = 0.6  # largest share of the object store that the images may take
_CODE_LEFT_OUT = ["**/__pycache__", "**/*.pyc"]


def connect(address: str | None, workers: int) -> bool:
    """Start a local cluster, or join one and send it this package's own code.

    If this process is connected to Ray already, as in a notebook, that connection is used.

    Returns:
        Whether the connection was made here, so that the caller has to shut Ray down.

    Raises:
        InputError: if there is no cluster at ``address``, or Ray cannot be started.
    """
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    with _own_signals():
        if address is None:
            cpus = max(workers, available_cores())
            folder = {} if (short := short_folder()) is None else {"_temp_dir": short}
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **folder, **quiet)
            return True
        try:
            _check_listens(address)
            code = {"py_modules": [str(Path(__file__).parents[2])], "excludes": _CODE_LEFT_OUT}
            ray.init(address=address, runtime_env=code, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"address: expected a running Ray cluster at '{address}', found none ({first_line(error)}); "
                "start one with 'ray start --head', or leave --address out"
            ) from None
    return True


def short_folder() -> str | None:
    """Return a folder for Ray's files, if the paths of its sockets would be too long in its default folder.

    Raises:
        InputError: if no shorter folder can be written.
    """
    default = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(default.encode()) <= _MOST_FOLDER_BYTES:
        return None
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        if "RAY_TMPDIR" not in os.environ and os.access(place, os.W_OK | os.X_OK):
            return f"{place}/ray-{os.getuid()}"
    raise InputError(
        f"workers: the folder of Ray's sockets, '{default}', has a path of {len(default.encode())} bytes, and at most "
        f"{_MOST_FOLDER_BYTES} are possible; set the environment variable RAY_TMPDIR to a shorter folder"
    )


def start_and_stop() -> float:
    """Start a local cluster with one worker, run a small task and stop the cluster; return the seconds it took.

    Raises:
        RuntimeError, OSError: if it cannot be started.
    """
    start = time.monotonic()
    owned = connect(None, 1)
    try:
        ray.get(ray.remote(num_cpus=1)(_process).remote(), timeout=60)
    finally:
        if owned:
            ray.shutdown()
    return time.monotonic() - start


def _process() -> int:
    return os.getpid()


def fit(workers: int, gpus_per_worker: float | None, strict: bool = True) -> tuple[float, int]:
    """Return each worker's GPU share and the number of workers that the cluster can hold; more would wait forever.

    A share below 1 has to be on one GPU, so four workers on three GPUs get a half each, not three quarters.

    Args:
        workers: requested number of workers.
        gpus_per_worker: GPU share of each worker; ``None`` shares the GPUs evenly.
        strict: whether to raise an error if no worker fits, and to log a warning if only some fit.

    Raises:
        InputError: if ``strict`` is set and not even one worker fits.
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
        _log.warning("only %d of %d workers fit on %d CPUs and %d GPUs for now", capacity, workers, cpus, gpus)
    return share, capacity


def send_data(data: ImageData | None, same_files: bool) -> Any:
    """Make the images available to every worker and return their Ray reference.

    Args:
        data: the images.
        same_files: whether every node sees the prepared files at their path; then only their path is sent, and the page
            cache holds them once for all workers of a node. Else they go into the object store, once per node.

    Raises:
        InputError: if the images do not fit in the object store.
    """
    if data is None or same_files:
        return ray.put(data)
    store = ray.cluster_resources().get("object_store_memory", 0.0) / max(1, len(ray.nodes()))
    if data.size_bytes > _STORE_SHARE * store:
        raise InputError(
            f"address: the images ({data.size_bytes / 2**30:.1f} GiB) do not fit in the cluster's object store "
            f"({store / 2**30:.1f} GiB a node); put the prepared folder at the same path on every node and give --set "
            "workers.shared_files=true, or lower data.resolution or data.fraction"
        )
    return ray.put(data.resident())


def first_line(error: BaseException) -> str:
    """Return the first non-empty line of an error's message, else the name of its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restore the signal handlers afterwards, because Ray installs a SIGTERM handler that aborts with a stack trace."""
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
    """Raise ``OSError`` within seconds if nothing listens at ``host:port``; Ray would wait for more than a minute."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
