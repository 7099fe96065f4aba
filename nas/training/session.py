"""A full training from beginning to end: prepare its folder, run or resume it. It prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas.core.callback import Callback
from nas.core.errors import InputError
from nas.core.files import claimed_folder
from nas.core.units import format_quantity
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.data.announce import announce_images
from nas.evaluate.data.identity import DataIdentity, SeenImages, check_unseen
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import load_data
from nas.search.run_data import other_split
from nas.search_spaces.network import Network
from nas.training.config import TrainConfig
from nas.training.one_network import trained_network
from nas.training.run import TrainingRun, check_free
from nas.weights.file import Weights, find_weights


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to run.

    Attributes:
        run: its folder.
        images: its images.
    """

    run: TrainingRun
    images: ImageData


def prepare_training(network: Network, config: TrainConfig, out: Path | None, callback: Callback) -> Prepared:
    """Load the images, check that everything fits, and make the training's folder.

    Args:
        network: the network, at any resolution and with any number of classes.
        config: the configuration, with absolute paths; ``config.thing`` names the network.
        out: the folder; ``None``: ``trained/NAME``.
        callback: receives what the user should know.

    Raises:
        InputError: for a mistake in the configuration, before anything is written.
    """
    from nas.evaluate.proxy.evaluator import choose_device

    if out is not None:
        check_free(out)
    choose_device(config.workers.train_device)  # raises if there is no such device
    try:
        network.at(resolution=config.resolution)
    except InputError as error:
        raise InputError(f"--resolution: {config.resolution} px is too small for this network: {error}") from None
    weights = None if config.init is None else find_weights(config.init, network)
    images = load_images(config, callback)
    trained = trained_network(network, config, len(images.classes), weights)
    if weights is not None:
        _check_fits(weights, trained, images.classes)
        kept = "kept" if weights.classes == images.classes else f"replaced: {len(images.classes)} classes"
        callback.message(f"Weights  {weights.origin}; head {kept}")
    cost = network_cost(trained)
    callback.message(
        f"Network  {trained.name}: {format_quantity(cost.macs)} MACs, {format_quantity(cost.params)} params, counted "
        f"at {trained.resolution} px with {trained.classes} classes"
    )
    check_batch(config, images)
    seen = SeenImages.of(images.train.contents)
    if weights is not None:
        keys = "data.split_seed, data.validation, data.test"
        way_on = f"Take the split that the weights were trained with (--set {keys}), or leave --init out"
        check_unseen(weights.seen, images, "--init", way_on)
        seen = seen.joined(weights.seen)
    announce_teacher(config, images, callback)
    identity = DataIdentity.of(images)
    if changed := other_split(config.thing, identity):
        callback.warning(f"the search saw other images: {changed}. Its accuracies and this training's do not compare")
    folder = claimed_folder(Path("trained") / network.name) if out is None else out
    return Prepared(TrainingRun.create(folder, config, trained, identity, seen), images)


def run_training(
    run: TrainingRun,
    images: ImageData,
    callback: Callback,
    is_over: Callable[[], bool],
    is_due: Callable[[], bool] = lambda: False,
) -> None:
    """Train to the end, from the folder's checkpoint if there is one, in the processes that the configuration names.

    ``is_due`` returns whether the training has to end with this epoch, because its time is used up.

    Raises:
        KeyboardInterrupt: if ``is_over`` returned True, after saving.
        InputError, WorkError: as ``nas.training.train.train``.
    """
    config = run.config
    if config.workers.count:
        from nas.training.distributed import train_together

        train_together(run, images, callback, is_over, is_due)
        return
    import torch

    from nas.evaluate.proxy.evaluator import choose_device
    from nas.training.train import train
    from nas.training.world import World

    train(run, images, torch.device(choose_device(config.workers.train_device)), callback, is_over, World(), is_due)


def load_images(config: TrainConfig, callback: Callback) -> ImageData:
    """Load the images of a training; the callback receives the progress and what the user should know about them.

    Raises:
        InputError: if they cannot be used.
    """
    images = load_data(config.data_settings(), callback.images_decoded, config.views())
    crops = f", cropped to {config.resolution} px" if config.recipe.crop == "resized" else ""
    announce_images(images, config.data.source, callback, crops)
    return images


def announce_teacher(config: TrainConfig, images: ImageData, callback: Callback) -> None:
    """Check that the teacher of a training fits its images, and tell the callback which network it is.

    Raises:
        InputError: if there is no such network, or it does not fit.
    """
    if config.teacher is None:
        return
    from nas.training.teacher import check_teacher, find_teacher, teacher_words

    found = find_teacher(config.teacher)
    check_teacher(found, images)
    recipe = config.recipe
    softened = "" if recipe.temperature == 1 else f", temperature {recipe.temperature:g}"
    callback.message(
        f"Teacher  {teacher_words(config.teacher, found)}: {recipe.teacher_weight:.0%} of the loss{softened}"
    )


def _check_fits(weights: Weights, network: Network, classes: tuple[str, ...]) -> None:
    """Check that the weights fit the network before anything is written."""
    from nas.search_spaces.module import build

    weights.into(build(network), keep_head=weights.classes == classes)


def check_batch(config: TrainConfig, images: ImageData) -> None:
    """Check that a batch has two images for each process.

    Raises:
        InputError: if it has fewer.
    """
    least = 2 * max(1, config.workers.count)
    if min(config.recipe.batch_size, len(images.train.labels)) < least:
        raise InputError(
            f"--batch-size: expected at least 2 images for each process, {least} in all; BatchNorm needs them"
        )
