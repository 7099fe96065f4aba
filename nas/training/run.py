"""A training's folder, and the training that writes it.

``train.yaml`` is the complete configuration, ``network.yaml`` the network as trained, ``weights.safetensors`` the best
weights so far. ``checkpoint.json`` with its tensors is the state from which a training is resumed. ``history.csv`` has
one row for each epoch, ``curves.svg`` plots them, and ``result.json`` is the result.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nas.core.callback import Callback
from nas.core.cores import available_cores
from nas.core.cpu_tuning import tune_for_training
from nas.core.documents import read_json, read_mapping, read_yaml, to_yaml
from nas.core.errors import InputError
from nas.core.files import cannot_write, check_empty, hold, write_whole
from nas.core.program import program
from nas.core.version import versions
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.data.identity import IDENTITY, NOTHING_SEEN, DataIdentity, SeenImages, check_same_images
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.settings import keep_old_split
from nas.evaluate.predictions import pack
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import load_network, network_to_yaml
from nas.training.checkpoint import STATE, Checkpoint
from nas.training.config import TrainConfig, validate
from nas.training.curves import write_curves
from nas.training.history import better, is_best, read_table, table, value
from nas.training.judgement import MISTAKES, judge, write_mistakes
from nas.training.trainer import Trainer
from nas.training.world import World
from nas.weights.file import RESULT, WEIGHTS, Weights, find_weights, with_norm_of

CONFIG, NETWORK, HISTORY, CURVES = "train.yaml", "network.yaml", "history.csv", "curves.svg"


@dataclass(frozen=True)
class TrainingRun:
    """A training's folder.

    Attributes:
        path: the folder.
        config: the complete configuration as used.
        network: the network as trained: at the training's resolution, with the data's classes.
        images: identity of the images; ``None`` in folders from before 0.1.0.
        seen: sample of the images that its weights have been trained on, those of ``init`` included.
    """

    path: Path
    config: TrainConfig
    network: Network
    images: DataIdentity | None
    seen: SeenImages = NOTHING_SEEN

    @classmethod
    def create(
        cls, path: Path, config: TrainConfig, network: Network, images: DataIdentity, seen: SeenImages
    ) -> TrainingRun:
        """Make the folder and write the configuration and the network.

        Raises:
            InputError: if the folder is not empty.
            WorkError: if it cannot be written.
        """
        check_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from None
        write_whole(path / NETWORK, network_to_yaml(network))
        write_whole(path / IDENTITY, json.dumps(images.as_dict() | {"seen": seen.as_dict()}, indent=1) + "\n")
        data = config.model_dump(mode="json") | {"images": images.digest, "versions": versions()}
        write_whole(path / CONFIG, to_yaml(data))
        return cls(path, config, network, images, seen)

    @classmethod
    def open(cls, path: Path) -> TrainingRun:
        """Open a folder to resume its training.

        Raises:
            InputError: if it is not a training's folder.
        """
        if not (path / CONFIG).is_file():
            search = f"; it is a search's run; resume it with: {program()} search --resume {shlex.quote(str(path))}"
            known = search if (path / "trials.jsonl").is_file() else ""
            raise InputError(f"--resume: expected a training's folder, but '{path}' has no {CONFIG}{known}")
        data = read_yaml(path / CONFIG)
        data.pop("versions", None)
        data.pop("images", None)
        keep_old_split(data)
        config, network = validate(data, str(path / CONFIG)), load_network(path / NETWORK)
        if not (path / IDENTITY).exists():  # a folder from before 0.1.0
            return cls(path, config, network, None)
        try:
            values = read_json(path / IDENTITY)
            return cls(
                path, config, network, DataIdentity.read(values, str(path / IDENTITY)), SeenImages.read(values["seen"])
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path / IDENTITY}: cannot be read ({error}); restore it") from None

    @property
    def resume_command(self) -> str:
        """The command that resumes this training."""
        return f"{program()} train --resume {shlex.quote(str(self.path))}"

    def lock(self) -> None:
        """Lock the folder against other processes until this process ends.

        Raises:
            InputError: if another process holds the lock.
        """
        hold(self.path / CONFIG, "resume")

    def check_images(self, data: ImageData) -> None:
        """Check that the images are those that the training began with.

        Raises:
            InputError: if the images, their classes or their split differ.
        """
        way_on = "Restore them, or begin a new training with another --out"
        check_same_images(self.images, DataIdentity.of(data), "resume", self.config.data.source, way_on)

    def discard(self) -> None:
        """Delete the folder if it holds no checkpoint."""
        if not (self.path / STATE).exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def progress(self) -> str:
        """Return how far the training was at its checkpoint, in words."""
        values = read_mapping(self.path / STATE)
        return f"epoch {values['epoch'] + 1}, step {values['step']}" if {"epoch", "step"} <= set(values) else "nothing"

    def history(self) -> list[dict[str, str]]:
        """Return the rows of the epochs that have ended, by column."""
        try:
            text = (self.path / HISTORY).read_text(encoding="utf-8")
        except OSError:
            return []
        return read_table(text)

    def result(self) -> dict[str, Any] | None:
        """Return the content of ``result.json``; ``None`` if the training has not ended."""
        return read_mapping(self.path / RESULT) or None


def check_free(path: Path) -> None:
    """Check that a new training may be written into ``path``.

    Raises:
        InputError: if the folder is not empty.
    """
    known = (path / CONFIG).is_file()
    check_empty(path, f"{program()} train --resume {shlex.quote(str(path))}" if known else "")


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
    trainer = _make_trainer(run, data, device, world)

    def save() -> None:
        if not world.leads:
            return
        ended = trainer.step == 0
        if ended and is_best(trainer.history, run.config.metric):
            _best_weights(run, data, trainer).save(run.path / WEIGHTS)
        trainer.state().save(run.path)
        if ended:
            write_whole(run.path / HISTORY, table(trainer.history))

    trainer.run(callback, save, is_over, is_due=is_due)
    if world.leads:
        _conclude(run, data, trainer)


def _make_trainer(run: TrainingRun, data: ImageData, device: torch.device, world: World) -> Trainer:
    config = run.config
    checkpoint = Checkpoint.load(run.path)
    weights = None
    if config.init is not None and checkpoint is None:
        weights = find_weights(config.init, run.network)
    if device.type == "cpu":
        tune_for_training()
        torch.set_num_threads(config.recipe.threads or max(1, available_cores() // world.size))
    elif config.recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    torch.manual_seed(config.seed)
    module = build(run.network)
    if weights is not None:
        weights.into(module, keep_head=weights.classes == data.classes)
    module = module.to(device).to(memory_format=torch.channels_last)
    normalisation = None if weights is None else (weights.mean, weights.std)
    trainer = Trainer(module, data, config.recipe, config.resolution, normalisation, config.seed, world, config.metric)
    if checkpoint is not None:
        trainer.restore(checkpoint)
    return trainer


def _best_weights(run: TrainingRun, data: ImageData, trainer: Trainer) -> Weights:
    mean, std = trainer.normalisation
    tensors = trainer.tensors(better(trainer.history[-1], run.config.metric))
    recipe = run.config.recipe
    return Weights(
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
    )


def _conclude(run: TrainingRun, data: ImageData, trainer: Trainer) -> None:
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
        "seconds": trainer.history[-1]["seconds"],
        "stopped": trainer.stopped,
        "correct": pack(tested.correct),
        **judge(tested, data.classes),
    }
    write_whole(run.path / HISTORY, table(trainer.history))
    write_curves(run.path / CURVES, trainer.history, run.network.name)
    write_mistakes(run.path / MISTAKES, data.test, tested, data.classes)
    write_whole(run.path / RESULT, json.dumps(result, indent=2) + "\n")
