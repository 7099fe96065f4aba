"""A full training whose epochs fit a time."""

from __future__ import annotations

from nas.core.cores import available_cores
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.search_spaces.network import Network
from nas.training.config import TrainConfig, make_config
from nas.training.recipe import SMALL_IMAGES, epochs_for

_OF_CLASSES = ("balanced_accuracy", "macro_f1")
_SHARE = 0.92  # of the time; the rest is for what the estimate misses
_BESIDE = 1.15  # factor on the time of a process beside which others train
_EPOCH_S = 0.3  # of an epoch for its score, its checkpoint and its report, if several processes train
_LEAST_PART = 16  # images of a batch for each process; BatchNorm needs some
_START_S = 25.0  # until the processes have started


def fitted_config(
    network: Network,
    thing: str,
    data: DataSettings,
    seed: int,
    seconds: float,
    metric: str = "accuracy",
    processes: int | None = None,
) -> TrainConfig:
    """Return the configuration of a training that takes about ``seconds``, or less if more epochs would not help.

    A few steps are timed for that. The recipe is ``small-images``, with the regularisation that so many epochs of so
    few images need. On CPUs, one process for each core trains on its part of every batch: threads of one process gain
    little with small networks, and lose much if other work shares the machine.

    Args:
        network: the network, at the resolution of its training.
        thing: what the network is, for the configuration.
        data: the images.
        seed: the seed.
        seconds: the time.
        metric: what is maximised; for a mean over the classes, rare classes count as much as frequent ones.
        processes: number of processes on CPUs; ``None``: one for each core; below 2: this process alone.

    Raises:
        InputError: if the images cannot be used.
    """
    import torch

    from nas.evaluate.proxy.evaluator import choose_device
    from nas.training.estimate import epoch_seconds
    from nas.training.one_network import trained_network

    values = data.model_dump(mode="json", exclude={"resolution"})
    device = choose_device("auto")
    count = 0 if device == "cuda" else available_cores() if processes is None else processes
    changes = {"thing": thing, "resolution": network.resolution, "seed": seed, "data": values, "metric": metric}
    config = make_config(changes, SMALL_IMAGES, [])
    images = load_data(config.data_settings(), views=config.views())
    count = min(count, min(config.recipe.batch_size, len(images.train.labels)) // _LEAST_PART)
    count = count if count > 1 else 0
    config = config.model_copy(update={"workers": config.workers.model_copy(update={"count": count})})
    threads = 1 if count else config.recipe.threads
    recipe = config.recipe.model_copy(update={"class_weights": metric in _OF_CLASSES, "threads": threads})
    config = config.model_copy(update={"recipe": recipe})
    trained = trained_network(network, config, len(images.classes), None)
    own = config
    if count:  # a process trains on its part of every batch
        part = recipe.model_copy(update={"batch_size": max(2, recipe.batch_size // count)})
        own = config.model_copy(update={"recipe": part})
    epoch_s = epoch_seconds(trained, own, images, torch.device(device))
    if count:
        epoch_s, seconds = epoch_s / count * _BESIDE + _EPOCH_S, seconds - _START_S
    recipe = epochs_for(recipe, max(1, int(seconds * _SHARE / epoch_s)), len(images.train.labels))
    return config.model_copy(update={"recipe": recipe})
