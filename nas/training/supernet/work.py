"""The training of a supernet: its trainer, its best weights on disk, its result."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nas.core.files import write_whole
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.supernet.file import SHARED, SharedWeights
from nas.evaluate.supernet.form import Form
from nas.evaluate.supernet.supernet import Supernet
from nas.search_spaces.catalogue import load_space
from nas.training.checkpoint import Checkpoint
from nas.training.config import TrainConfig
from nas.training.curves import write_curves
from nas.training.history import better, table, value
from nas.training.run import CURVES, HISTORY, TrainingRun
from nas.training.supernet.initial import initial_weights, place_of_weights, place_weights
from nas.training.supernet.plan import SupernetPlan
from nas.training.supernet.settings import SupernetSettings
from nas.training.supernet.trainer import SupernetTrainer
from nas.training.teacher import teacher_of
from nas.training.world import World
from nas.weights.file import RESULT, Weights

_CALIBRATED = 2000  # training images from which statistics are measured for the result


def make_trainer(run: TrainingRun, data: ImageData, device: torch.device, world: World) -> SupernetTrainer:
    """Return the trainer of a run's supernet, with its initial weights or those of the checkpoint."""
    checkpoint = Checkpoint.load(run.path)
    init = run.config.init
    weights = None if init is None or checkpoint is not None else initial_weights(init)
    trainer = new_trainer(run.config, data, device, world, weights, None if init is None else run.network.norm_epsilon)
    if checkpoint is not None:
        trainer.restore(checkpoint)
    return trainer


def new_trainer(
    config: TrainConfig,
    data: ImageData,
    device: torch.device,
    world: World,
    weights: Weights | None = None,
    norm_epsilon: float | None = None,
) -> SupernetTrainer:
    """Return a new trainer.

    Args:
        config: the configuration.
        data: the images.
        device: the device.
        world: the processes that train together.
        weights: weights of one network to start from; ``None``: random weights.
        norm_epsilon: epsilon of BatchNorm; ``None``: the networks' own.
    """
    settings, recipe = _settings(config), config.recipe
    plan = SupernetPlan.of(config.thing, settings)
    form = Form(
        config.resolution,
        plan.reference,
        recipe.dropout,
        recipe.drop_connect,
        recipe.batch_norm_momentum,
        norm_epsilon,
    )
    generator = torch.Generator().manual_seed(config.seed)
    classes = len(data.classes)
    supernet = Supernet.initial(plan.space, classes, generator, form, plan.shared(classes))
    normalisation = None
    if weights is not None:
        place_weights(supernet, place_of_weights(plan.space, weights), weights, data.classes)
        normalisation = weights.mean, weights.std
    return SupernetTrainer(
        supernet.to(device),
        plan,
        settings,
        data,
        recipe,
        config.resolution,
        normalisation,
        config.seed,
        world,
        config.metric,
        teacher_of(config, data, device),
    )


def save_best(run: TrainingRun, data: ImageData, trainer: SupernetTrainer) -> None:
    """Write the weights of the last epoch as the best so far."""
    mean, std = trainer.normalisation
    tensors = trainer.tensors(better(trainer.history[-1], run.config.metric))
    recipe, space = run.config.recipe, trainer.plan.space
    assert trainer.module.form is not None
    SharedWeights(
        {name.removeprefix("weights."): tensor for name, tensor in tensors.items()},
        space.name,
        tuple(int(size) for size in space.gene_sizes),
        data.classes,
        trainer.module.form,
        mean,
        std,
        recipe.crop_share,
        recipe.interpolation,
        data.pixel_range,
        run.config.thing,
        trainer.plan.largest.genes,
        {limit.metric: (limit.low, limit.high if math.isfinite(limit.high) else None) for limit in trainer.plan.limits},
        run.config.data.model_dump(mode="json") | {"resolution": run.config.data_settings().resolution},
        run.images,
        run.seen,
    ).save(run.path / SHARED)


def conclude(run: TrainingRun, data: ImageData, trainer: SupernetTrainer) -> None:
    """Score the best weights on the test split, once, and write the result of the training."""
    metric = run.config.metric
    best = max(reversed(trainer.history), key=lambda row: value(row, metric))
    supernet = load_supernet(run.path).to(trainer.device)
    trainer.world = World()
    networks: dict[str, Any] = {}
    for name, architecture in trainer.judged.items():
        module = trainer.calibrated(supernet, architecture, _CALIBRATED)
        network = supernet.network(architecture)
        cost = network_cost(network)
        found = {part: asdict(trainer.score_of(module, part)) for part in ("validation", "test")}
        networks[name] = {"genes": list(architecture.genes), "macs": cost.macs, "params": cost.params, **found}
    result = {
        "space": trainer.plan.space.name,
        "metric": metric,
        "validation": value(best, metric),
        "best_epoch": best["epoch"],
        "averaged": better(best, metric) == "ema",
        "best_weights": SHARED,
        "epochs": run.config.recipe.epochs,
        "shared_params": sum(parameter.numel() for parameter in supernet.parameters()),
        "resolution": run.config.resolution,
        "classes": len(data.classes),
        "images": {part: len(getattr(data, part).labels) for part in ("train", "validation", "test")},
        "data": run.config.data.source,
        "networks": networks,
        "seconds": trainer.history[-1]["seconds"],
        "stopped": trainer.stopped,
    }
    write_whole(run.path / HISTORY, table(trainer.history))
    write_curves(run.path / CURVES, trainer.history, f"supernet of {trainer.plan.space.name}")
    write_whole(run.path / RESULT, json.dumps(result, indent=2) + "\n")


def load_supernet(path: Path) -> Supernet:
    """Return the supernet of a training's folder, with its best weights so far.

    Raises:
        InputError: if there is none.
    """
    run = TrainingRun.open(path)
    return SharedWeights.read(path / SHARED).supernet(load_space(run.config.thing))


def _settings(config: TrainConfig) -> SupernetSettings:
    assert config.supernet is not None
    return config.supernet
