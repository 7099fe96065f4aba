"""Estimates how long an epoch of a full training takes, from a few of its steps."""

from __future__ import annotations

import time
from typing import Any

import torch

from nas.core.cores import available_cores
from nas.core.cpu_tuning import tune_for_training
from nas.evaluate.data.image_data import ImageData
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.training.config import TrainConfig
from nas.training.score import AT_ONCE
from nas.training.trainer import Trainer

_WARM_UP, _TIMED = 4, 12  # steps


def epoch_seconds(network: Network, config: TrainConfig, data: ImageData, device: torch.device) -> float:
    """Return the expected seconds of an epoch, with its score on the validation images.

    Args:
        network: the network as trained.
        config: the configuration.
        data: the images.
        device: the device.
    """
    if device.type == "cpu":
        tune_for_training()
        torch.set_num_threads(config.recipe.threads or available_cores())
    torch.manual_seed(config.seed)
    module = build(network).to(device).to(memory_format=torch.channels_last)
    return timed_epoch(Trainer(module, data, config.recipe, config.resolution, None, config.seed))


def timed_epoch(trainer: Trainer[Any]) -> float:
    """Return the expected seconds of an epoch of a new trainer, which cannot be used afterwards."""
    device, data = trainer.device, trainer.data
    trainer.time_steps(_WARM_UP)
    _wait(device)
    start = time.perf_counter()
    images = trainer.time_steps(_TIMED)
    _wait(device)
    image_s = (time.perf_counter() - start) / images
    start = time.perf_counter()
    trainer.scores("validation")
    _wait(device)
    scored_s = time.perf_counter() - start
    return image_s * len(data.train.labels) + scored_s + len(data.validation.labels) / AT_ONCE * 0.001


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
