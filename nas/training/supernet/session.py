"""The training of a supernet from its beginning: what it covers, its images, its folder. It prints nothing."""

from __future__ import annotations

from pathlib import Path

import torch

from nas.core.callback import Callback
from nas.core.errors import InputError
from nas.core.files import claimed_folder
from nas.core.records import Architecture
from nas.core.units import format_duration, format_quantity
from nas.evaluate.data.identity import DataIdentity, SeenImages, check_unseen
from nas.evaluate.proxy.evaluator import choose_device
from nas.training.config import TrainConfig
from nas.training.estimate import timed_epoch
from nas.training.run import TrainingRun, check_free
from nas.training.session import Prepared, announce_teacher, check_batch, load_images
from nas.training.supernet.initial import initial_weights, place_of_weights
from nas.training.supernet.plan import SupernetPlan
from nas.training.supernet.trainer import check_recipe
from nas.training.supernet.work import new_trainer
from nas.training.train import prepare_device
from nas.training.world import World


def prepare_supernet(config: TrainConfig, out: Path | None, callback: Callback) -> Prepared:
    """Load the images, check that everything fits, estimate the time, and make the training's folder.

    Args:
        config: the configuration, with absolute paths and a section ``supernet``.
        out: the folder; ``None``: ``supernets/NAME``.
        callback: receives what the user should know.

    Raises:
        InputError: for a mistake in the configuration, before anything is written.
    """
    assert config.supernet is not None
    if out is not None:
        check_free(out)
    check_recipe(config.recipe)
    device = torch.device(choose_device(config.workers.train_device))
    plan = SupernetPlan.of(config.thing, config.supernet)
    weights = None if config.init is None else initial_weights(config.init)
    if weights is not None:
        _check_inside(plan, place_of_weights(plan.space, weights))
    images = load_images(config, callback)
    check_batch(config, images)
    seen = SeenImages.of(images.train.contents)
    if weights is not None:
        callback.message(f"Weights  {weights.origin}: placed as '{weights.network.name}' in the space")
        way_on = "Take the split that the weights were trained with, or leave --init out"
        check_unseen(weights.seen, images, "--init", way_on)
        seen = seen.joined(weights.seen)
    announce_teacher(config, images, callback)
    prepare_device(config, device, World())
    epsilon = None if weights is None else weights.network.norm_epsilon
    trainer = new_trainer(config, images, device, World(), weights, epsilon)
    trainer.module.network(plan.smallest)  # raises if the resolution is too small for it
    network = trainer.module.network(plan.largest)
    shared = sum(parameter.numel() for parameter in trainer.module.parameters())
    callback.message(f"Supernet {plan.words()}; {format_quantity(shared)} shared params")
    epoch_s = timed_epoch(trainer)
    epochs = config.recipe.epochs
    together = f" in one process; {config.workers.count} share it" if config.workers.count else ""
    callback.message(
        f"Time     about {format_duration(epochs * epoch_s)}{together}: {epochs} epochs of {format_duration(epoch_s)}"
    )
    folder = claimed_folder(Path("supernets") / plan.space.name) if out is None else out
    identity = DataIdentity.of(images)
    return Prepared(TrainingRun.create(folder, config, network, identity, seen), images)


def _check_inside(plan: SupernetPlan, architecture: Architecture) -> None:
    if not plan.domain.admits(architecture):
        costs = plan.costs(architecture)
        raise InputError(
            f"--init: its network has {format_quantity(costs['macs'])} MACs and {format_quantity(costs['params'])} "
            f"params, outside the limits of the supernet ({', '.join(map(str, plan.limits))}); widen --target-flops"
        )
