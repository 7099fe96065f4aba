"""The second phase of ``nas make``: full training in the time that is left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from nas.core.units import format_duration
from nas.make.callback import MakeCallback
from nas.make.fitted_training import fitted_config
from nas.make.folder import SEARCH, TRAINED, MakeFolder
from nas.make.plan import reserve_s
from nas.search_spaces.network import Network
from nas.training.run import CONFIG as TRAIN_CONFIG
from nas.training.run import TrainingRun
from nas.training.session import load_images, prepare_training, run_training

Stopping = Callable[[], AbstractContextManager[Callable[[], bool]]]


def run_full_training(folder: MakeFolder, network: Network, callback: MakeCallback, stopping: Stopping) -> TrainingRun:
    """Train the network in the time that is left, or go on with its training."""
    path = folder.path / TRAINED
    folder.clear_unfinished(TRAINED, TRAIN_CONFIG)
    reserve = _reserve_s(folder)

    def is_due() -> bool:
        folder.note_time()
        return folder.left_s < reserve

    if (path / TRAIN_CONFIG).is_file():
        run = TrainingRun.open(path)
        if run.result() is not None:
            return run
        images = load_images(run.config, callback)
        run.check_images(images)
    else:
        thing = str((folder.path / SEARCH).resolve())
        seconds = folder.left_s - reserve
        own = folder.config
        config = fitted_config(network, thing, own.data, own.seed, seconds, own.objective.metric, own.workers)
        callback.message(f"Training {config.recipe.epochs} epochs in {format_duration(max(0.0, seconds))}")
        prepared = prepare_training(network, config, path, callback)
        run, images = prepared.run, prepared.images
    run.lock()
    callback.training_started(run.config, run.history())
    try:
        with stopping() as is_over:
            run_training(run, images, callback, is_over, is_due)
    finally:
        callback.training_ended()
    return run


def _reserve_s(folder: MakeFolder) -> float:
    return reserve_s(60 * folder.config.minutes, folder.config.export)
