"""A training, of one network or of a supernet, which writes its folder."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from nas.core.callback import Callback
from nas.core.cores import available_cores
from nas.core.cpu_tuning import tune_for_training
from nas.core.files import write_whole
from nas.evaluate.data.image_data import ImageData
from nas.training import one_network
from nas.training.config import TrainConfig
from nas.training.history import is_best, table
from nas.training.run import HISTORY, TrainingRun
from nas.training.supernet import work as supernet
from nas.training.world import World


def train(
    run: TrainingRun,
    data: ImageData,
    device: torch.device,
    callback: Callback,
    is_over: Callable[[], bool],
    world: World,
    is_due: Callable[[], bool] = lambda: False,
) -> None:
    """Train to the end, from the folder's checkpoint if there is one. Only the leading process writes files.

    Args:
        run: the folder.
        data: the images.
        device: the device.
        callback: observes the training.
        is_over: returns whether to save and stop now; called after every step.
        world: the processes that train together.
        is_due: returns whether the training has to end with this epoch, because its time is used up.

    Raises:
        KeyboardInterrupt: if ``is_over`` returned True, after saving.
        InputError: if the initial weights do not fit.
        WorkError: if the training diverged, or something cannot be written.
    """
    config = run.config
    prepare_device(config, device, world)
    work = one_network if config.supernet is None else supernet
    trainer = work.make_trainer(run, data, device, world)

    def save() -> None:
        if not world.leads:
            return
        ended = trainer.step == 0
        if ended and is_best(trainer.history, config.metric):
            work.save_best(run, data, trainer)
        trainer.state().save(run.path)
        if ended:
            write_whole(run.path / HISTORY, table(trainer.history))

    trainer.run(callback, save, is_over, is_due=is_due)
    if world.leads:
        work.conclude(run, data, trainer)


def prepare_device(config: TrainConfig, device: torch.device, world: World) -> None:
    """Set the threads of a CPU, or deterministic kernels of a GPU, as the configuration says."""
    if device.type == "cpu":
        tune_for_training()
        torch.set_num_threads(config.recipe.threads or max(1, available_cores() // world.size))
    elif config.recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
