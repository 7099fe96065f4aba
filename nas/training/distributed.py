"""One training on several processes through Ray Train: on this machine, or on a cluster that shares the folder."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nas.core.callback import SILENT, Callback
from nas.core.errors import InputError, WorkError
from nas.core.files import write_whole
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.workers.ray_environment import quiet_ray
from nas.training.run import HISTORY, TrainingRun
from nas.training.train import train
from nas.training.world import World

Row = dict[str, Any]
POLL_S = 0.5
STOP, DUE, FAILED, RAY_FOLDER = "stop", "due", "failed.json", ".ray"
"""Names in the training's folder: a file that asks the processes to save and stop; one that asks them to end with this
epoch; a file with an error that a retry would not fix; the folder in which Ray Train keeps its own files."""


def train_together(
    run: TrainingRun,
    data: ImageData,
    callback: Callback,
    is_over: Callable[[], bool],
    is_due: Callable[[], bool] = lambda: False,
) -> None:
    """Train with the configured number of processes. If one dies, the training restarts from the checkpoint.

    Args:
        run: the folder, which must be at the same path on every node.
        data: the images.
        callback: is called after each epoch; the values of its row are text.
        is_over: returns whether to save and stop now.
        is_due: returns whether the training has to end with this epoch, because its time is used up.

    Raises:
        KeyboardInterrupt: if ``is_over`` returned True, after the processes have saved and ended.
        InputError: if the cluster cannot be joined, or has too few CPUs or GPUs for the processes.
        WorkError: if the training failed with an error that a retry would not fix, or after all retries.
    """
    quiet_ray()
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    import ray

    from nas.evaluate.workers.ray_cluster import connect

    workers, stop = run.config.workers, run.path / STOP
    local = workers.address in (None, "local")
    for name in (STOP, DUE, FAILED):
        (run.path / name).unlink(missing_ok=True)
    owned = connect(None if local else workers.address, workers.count)
    try:
        trainer = _make_trainer(run, data, local)
        failures: list[BaseException] = []
        thread = threading.Thread(target=_fit, args=(trainer, failures), daemon=True)
        thread.start()
        told = _rows(run.path / HISTORY)[0]
        while thread.is_alive():
            thread.join(POLL_S)
            if is_over():
                stop.touch()
            if is_due():
                (run.path / DUE).touch()
            count, rows = _rows(run.path / HISTORY)
            for row in rows[told:]:
                callback.epoch_finished(row)
            told = count
        _raise_told(run.path / FAILED)
        if failures and run.result() is None:
            raise WorkError(f"the training failed: {_reason(failures[0])}. To resume: {run.resume_command}")
        if stop.exists() and run.result() is None:
            raise KeyboardInterrupt
    finally:
        if owned:
            ray.shutdown()
        for name in (STOP, DUE, FAILED):
            (run.path / name).unlink(missing_ok=True)
        shutil.rmtree(run.path / RAY_FOLDER, ignore_errors=True)


def _make_trainer(run: TrainingRun, data: ImageData, local: bool) -> Any:
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    from nas.evaluate.workers.ray_cluster import send_data

    workers = run.config.workers
    available = ray.cluster_resources()
    gpus, cpus = float(available.get("GPU", 0)), float(available.get("CPU", 0))
    each = float(gpus > 0) if workers.gpus_per_worker is None else workers.gpus_per_worker
    if workers.count * each > gpus or workers.count > cpus:
        raise InputError(
            f"workers: {workers.count} processes need {workers.count} CPUs and {workers.count * each:g} GPUs; the "
            f"cluster has {cpus:g} and {gpus:g}; use fewer --workers, or --gpus-per-worker 0 to train on CPUs"
        )
    resources = {"CPU": 1.0} | ({"GPU": each} if each else {})
    return TorchTrainer(
        _train_in_process,
        train_loop_config={"path": str(run.path.resolve()), "data": send_data(data, local)},
        torch_config=TorchConfig(backend="nccl" if each >= 1 else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers.count, use_gpu=each > 0, resources_per_worker=resources),
        run_config=RunConfig(
            name="train",
            storage_path=str((run.path / RAY_FOLDER).resolve()),
            failure_config=FailureConfig(max_failures=workers.retries),
        ),
    )


def _train_in_process(settings: dict[str, Any]) -> None:
    """Train in one of the processes. A request to stop ends it without an error; input and work errors are final."""
    import ray
    from ray.train.torch import get_device

    run = TrainingRun.open(Path(settings["path"]))
    if (run.path / FAILED).exists():  # a retry would fail in the same way
        return
    data: ImageData = ray.get(settings["data"])
    world = World(torch.distributed.get_rank(), torch.distributed.get_world_size())
    stop, due = run.path / STOP, run.path / DUE
    try:
        train(run, data, get_device(), SILENT, stop.exists, world, due.exists)
    except KeyboardInterrupt:
        return
    except (InputError, WorkError) as error:
        told = {"input": isinstance(error, InputError), "message": str(error)}
        write_whole(run.path / FAILED, json.dumps(told))
        raise  # ends the other processes too, which may wait for this one


def _raise_told(path: Path) -> None:
    """Raise the error that a process wrote to ``path``, if there is one.

    Raises:
        InputError, WorkError: the error of that process.
    """
    with contextlib.suppress(OSError):
        told = json.loads(path.read_text(encoding="utf-8"))
        raise (InputError if told["input"] else WorkError)(told["message"])


def _fit(trainer: Any, failures: list[BaseException]) -> None:
    try:
        trainer.fit()
    except BaseException as error:
        failures.append(error)


def _rows(path: Path) -> tuple[int, list[Row]]:
    try:
        rows: list[Row] = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError:
        rows = []
    return len(rows), rows


def _reason(error: BaseException) -> str:
    """Return the message of a worker's error, taken from Ray's long report."""
    causes = getattr(error, "worker_failures", None) or {}
    own = next(iter(causes.values()), error)
    lines = [line.strip() for line in str(own).splitlines() if line.strip()]
    named = [line for line in lines if line.startswith("nas.") or "Error" in line]
    return (named or lines or [type(error).__name__])[-1]
