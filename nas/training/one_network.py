"""The training of one network: its module and weights, its best weights on disk, its result."""

from __future__ import annotations

import json
from dataclasses import replace

import torch

from nas.core.files import write_whole
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.data.identity import DataIdentity, SeenImages
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.predictions import pack
from nas.search_spaces.module import NetworkModule, build
from nas.search_spaces.network import Network
from nas.training.checkpoint import Checkpoint
from nas.training.config import TrainConfig
from nas.training.curves import write_curves
from nas.training.history import better, table, value
from nas.training.judgement import MISTAKES, judge, write_mistakes
from nas.training.run import CURVES, HISTORY, TrainingRun
from nas.training.teacher import teacher_of
from nas.training.trainer import Trainer
from nas.training.world import World
from nas.weights.file import RESULT, Weights, find_weights, with_norm_of
from nas.weights.names import WEIGHTS


def trained_network(network: Network, config: TrainConfig, classes: int, weights: Weights | None) -> Network:
    """Return the network to train.

    It has the training's resolution, the data's classes, the recipe's dropout and drop-connect, and the weights'
    BatchNorm settings.

    Raises:
        InputError: if the resolution is too small for its strides.
    """
    found = network.at(resolution=config.resolution, classes=classes)
    if config.recipe.drop_connect is not None:
        found = replace(found, drop_connect=config.recipe.drop_connect)
    if config.recipe.dropout is not None:
        found = replace(found, head=replace(found.head, dropout=config.recipe.dropout))
    return found if weights is None else with_norm_of(found, weights)


def make_trainer(run: TrainingRun, data: ImageData, device: torch.device, world: World) -> Trainer[NetworkModule]:
    """Return the trainer of the run's network, with its initial weights or those of the checkpoint.

    Raises:
        InputError: if the initial weights do not fit.
    """
    config = run.config
    checkpoint = Checkpoint.load(run.path)
    weights = None
    if config.init is not None and checkpoint is None:
        weights = find_weights(config.init, run.network)
    torch.manual_seed(config.seed)
    module = build(run.network)
    if weights is not None:
        weights.into(module, keep_head=weights.classes == data.classes)
    module = module.to(device).to(memory_format=torch.channels_last)
    normalisation = None if weights is None else (weights.mean, weights.std)
    teacher = teacher_of(config, data, device)
    settings = config.recipe, config.resolution, normalisation, config.seed, world, config.metric, teacher
    trainer = Trainer(module, data, *settings)
    if checkpoint is not None:
        trainer.restore(checkpoint)
    return trainer


def save_best(run: TrainingRun, data: ImageData, trainer: Trainer[NetworkModule]) -> None:
    """Write the weights of the last epoch as the best so far."""
    mean, std = trainer.normalisation
    tensors = trainer.tensors(better(trainer.history[-1], run.config.metric))
    recipe = run.config.recipe
    Weights(
        run.network,
        tensors,
        data.classes,
        mean,
        std,
        recipe.crop_share,
        str(run.path),
        interpolation=recipe.interpolation,
        pixel_range=data.pixel_range,
        images=run.images or DataIdentity.of(data),  # folders from before 0.1.0 store none
        seen=run.seen if run.seen.count else SeenImages.of(data.train.contents),
    ).save(run.path / WEIGHTS)


def conclude(run: TrainingRun, data: ImageData, trainer: Trainer[NetworkModule]) -> None:
    """Score the best weights on the test split, once, and write the result of the training."""
    metric = run.config.metric
    latest_first = reversed(trainer.history)  # the last among ties, because its weights were kept
    best = max(latest_first, key=lambda row: value(row, metric))
    weights = Weights.read(run.path / WEIGHTS)
    weights.into(trainer.module)
    trainer.world = World()
    tested = trainer.predictions("test")
    metrics = tested.metrics()
    cost = network_cost(run.network)
    result = {
        "name": run.network.name,
        "accuracy": metrics["accuracy"],
        "test_top1": metrics["accuracy"],
        "test_top5": metrics["top5_accuracy"],
        "metric": metric,
        "validation": value(best, metric),
        "validation_top1": best[f"{better(best, metric)}_top1"],
        "best_epoch": best["epoch"],
        "averaged": better(best, metric) == "ema",
        "best_weights": WEIGHTS,
        "epochs": run.config.recipe.epochs,
        "macs": cost.macs,
        "params": cost.params,
        "resolution": run.config.resolution,
        "classes": len(data.classes),
        "images": {part: len(getattr(data, part).labels) for part in ("train", "validation", "test")},
        "data": run.config.data.source,
        "init": run.config.init,
        "teacher": run.config.teacher,
        "seconds": trainer.history[-1]["seconds"],
        "stopped": trainer.stopped,
        "correct": pack(tested.correct),
        **judge(tested, data.classes),
    }
    write_whole(run.path / HISTORY, table(trainer.history))
    write_curves(run.path / CURVES, trainer.history, run.network.name)
    write_mistakes(run.path / MISTAKES, data.test, tested, data.classes)
    write_whole(run.path / RESULT, json.dumps(result, indent=2) + "\n")
