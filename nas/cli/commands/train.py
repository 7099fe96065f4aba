"""``nas train``: train a network in full, or fine-tune it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import completion
from nas.cli.config_options import given, given_options, with_config_options
from nas.cli.display.output import Quiet
from nas.cli.guard import INTERRUPTED, guarded

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from nas.training.run import TrainingRun
    from nas.weights.file import Weights

_ONLY_NEW = "resume: a training keeps its settings; leave out "

_WHAT, _WHERE, _RUN = "What to train", "Where it runs", "The training"


def _train_config() -> type[BaseModel]:
    from nas.training.config import TrainConfig

    return TrainConfig


TrainCommand = with_config_options(
    _train_config,
    {
        "data.source": _WHAT,
        "init": _WHAT,
        "resolution": _WHAT,
        "recipe.epochs": _WHAT,
        "recipe.batch_size": _WHAT,
        "seed": _WHAT,
        "workers.count": _WHERE,
        "workers.gpus_per_worker": _WHERE,
        "workers.address": _WHERE,
        "workers.train_device": _WHERE,
        "tensorboard": _RUN,
    },
)


@guarded
def train(
    context: typer.Context,
    thing: Annotated[
        str | None,
        typer.Argument(
            help="A run directory, a network's YAML file, or a reference name.",
            autocompletion=completion.networks,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="efficientnet, modern, small-images, transfer, or FILE.yaml (default: modern; with --init: transfer).",
            rich_help_panel=_WHAT,
            autocompletion=completion.recipes,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The training's folder (default: trained/NAME).", rich_help_panel=_RUN)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume the training in this folder.", rich_help_panel=_RUN)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="recipe.KEY=VALUE or data.KEY=VALUE; repeatable.", rich_help_panel=_RUN),
    ] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
) -> None:
    """Train a network in full, or fine-tune it from weights; an interrupted training resumes bit for bit.

    Examples:
      nas train runs/NAME --data DIR --recipe modern

      nas train efficientnet_b0 --init torchvision --data flowers102

      nas train --resume trained/NAME
    """
    from nas.cli.display.output import make_console, say
    from nas.core.changes import laid_over, with_assignments
    from nas.core.errors import InputError
    from nas.search.run_data import data_of_run
    from nas.training.run import TrainingRun

    console = make_console()
    if resume is not None:
        wrong = [option.name for option in given_options(context)]
        wrong += [*(assignments or []), *([thing] if thing else []), *(["--recipe"] if recipe else [])]
        if wrong or out is not None:
            raise InputError(_ONLY_NEW + ", ".join([*wrong, *(["--out"] if out else [])]))
        run = TrainingRun.open(resume)
        if (result := run.result()) is not None:
            say(console, f"'{run.path}' has ended: test top-1 {result['test_top1']:.2%}. To train again: another --out")
            return
        _execute(run, None, console)
        return
    if thing is None:
        raise InputError("train: expected a network, such as efficientnet_b0 or a run directory, or --resume FOLDER")
    changes = given(context)
    named = with_assignments(changes, assignments or []).get("data", {}).get("source")
    changes = laid_over({"data": data_of_run(thing, named)}, changes)
    if named is None and "source" not in changes["data"]:
        raise InputError("train: --data is missing: a name that nas data list shows, or a folder or zip of images")
    _begin(thing, changes, recipe, assignments or [], out, console)


def _begin(
    thing: str,
    changes: dict[str, Any],
    recipe: str | None,
    assignments: list[str],
    out: Path | None,
    console: Console,
) -> None:
    from nas.cli.display.output import describe_network, say, warn
    from nas.core.errors import InputError
    from nas.core.files import claimed_folder
    from nas.evaluate.data.identity import DataIdentity, SeenImages, check_unseen
    from nas.scale.find_network import find_network
    from nas.search.run_data import other_split
    from nas.training.config import make_config, with_absolute_paths
    from nas.training.run import TrainingRun, check_free, trained_network
    from nas.weights.file import find_weights

    if "gpus_per_worker" in changes.get("workers", {}) and not changes["workers"].get("count"):
        raise InputError("--gpus-per-worker: applies only to worker processes; give --workers N too")
    network = find_network(thing)
    changes = {"thing": thing, "resolution": network.resolution, **changes}
    config = with_absolute_paths(make_config(changes, recipe, assignments))
    folder = out or Path("trained") / network.name
    if out is not None:
        check_free(folder)
    _check_device(config.workers.train_device)
    try:
        network.at(resolution=config.resolution)
    except InputError as error:
        raise InputError(f"--resolution: {config.resolution} px is too small for this network: {error}") from None
    weights = None if config.init is None else find_weights(config.init, network)
    images = _load(config, console)
    trained = trained_network(network, config, len(images.classes), weights)
    if weights is not None:
        _check_fits(weights, trained, images.classes)
        kept = "kept" if weights.classes == images.classes else f"replaced: {len(images.classes)} classes"
        say(console, f"Weights  {weights.origin}; head {kept}")
    say(console, f"Network  {describe_network(trained)}")
    least = 2 * max(1, config.workers.count)
    if min(config.recipe.batch_size, len(images.train.labels)) < least:
        raise InputError(
            f"--batch-size: expected at least 2 images for each process, {least} in all; BatchNorm needs them"
        )
    seen = SeenImages.of(images.train.contents)
    if weights is not None:
        keys = "data.split_seed, data.validation, data.test"
        way_on = f"Take the split that the weights were trained with (--set {keys}), or leave --init out"
        check_unseen(weights.seen, images, "--init", way_on)
        seen = seen.joined(weights.seen)
    identity = DataIdentity.of(images)
    if changed := other_split(thing, identity):
        warn(console, f"the search saw other images: {changed}. Its accuracies and this training's do not compare")
    folder = folder if out is not None else claimed_folder(folder)
    run = TrainingRun.create(folder, config, trained, identity, seen)
    try:
        _execute(run, images, console)
    except InputError:
        run.discard()
        raise


def _check_fits(weights: Weights, network: Any, classes: tuple[str, ...]) -> None:
    """Check that the weights fit the network before anything is written."""
    from nas.search_spaces.module import build

    weights.into(build(network), keep_head=weights.classes == classes)


def _check_device(device: str) -> None:
    from nas.evaluate.proxy.evaluator import choose_device

    choose_device(device)


def _load(config: Any, console: Console) -> Any:
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.evaluate.data.announce import announce_images
    from nas.evaluate.data.load import load_data

    with ConsoleCallback(console) as callback:
        images = load_data(config.data_settings(), callback.images_decoded, config.views())
        crops = f", cropped to {config.resolution} px" if config.recipe.crop == "resized" else ""
        announce_images(images, config.data.source, callback, crops)
    return images


def _execute(run: TrainingRun, images: Any, console: Console) -> None:
    """Run the training, show its progress, and print its result."""
    from nas.cli.display.output import say
    from nas.cli.display.training_progress import TrainingProgress, print_result
    from nas.cli.interruption import wish_to_stop
    from nas.core.errors import WorkError
    from nas.evaluate.proxy.evaluator import choose_device
    from nas.tracking.tensorboard_log import events_of

    config = run.config
    run.lock()
    if images is None:
        images = _load(config, console)
        run.check_images(images)
    say(console, f"Training {config.recipe.epochs} epochs in {run.path}; Ctrl-C saves and stops, --resume continues")
    try:
        progress = TrainingProgress(console, config.recipe.epochs, run.history())
        with wish_to_stop() as is_over, events_of(run, progress) as callback, progress:
            if config.workers.count:
                from nas.training.distributed import train_together

                train_together(run, images, callback, is_over)
            else:
                import torch

                from nas.training.run import train as train_here
                from nas.training.world import World

                device = torch.device(choose_device(config.workers.train_device))
                train_here(run, images, device, callback, is_over, World())
    except KeyboardInterrupt:
        say(console, f"interrupted; {run.progress()} is saved; resume with: {run.resume_command}")
        raise typer.Exit(INTERRUPTED) from None
    except WorkError as error:
        hint = "" if "--resume" in str(error) or "diverged" in str(error) else f". Then: {run.resume_command}"
        raise WorkError(f"{error}{hint}") from None
    print_result(run, console)
