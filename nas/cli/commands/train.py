"""``nas train``: train a network in full, or fine-tune it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import completion
from nas.cli.config_options import given, given_options, with_config_options
from nas.cli.display.output import Quiet
from nas.cli.guard import guarded

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from nas.training.run import TrainingRun

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
        "teacher": _WHAT,
        "resolution": _WHAT,
        "recipe.epochs": _WHAT,
        "recipe.batch_size": _WHAT,
        "metric": _WHAT,
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
            help="efficientnet, finetune, modern, small-images, transfer, or FILE.yaml (default: transfer with --init, "
            "finetune from a supernet, small-images up to 64 px, else modern).",
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

    The network of a search with a supernet starts from its inherited weights, unless --init none is given, and learns
    from the supernet's largest network too, unless --teacher none is given.

    Examples:
      nas train runs/NAME --data DIR --recipe modern

      nas train efficientnet_b0 --init torchvision --data flowers102

      nas train --resume trained/NAME
    """
    from nas.cli.display.output import make_console, say
    from nas.core.changes import laid_over, with_assignments
    from nas.core.errors import InputError
    from nas.search.run_data import data_of_run, supernet_of_run
    from nas.training.run import TrainingRun

    console = make_console()
    if resume is not None:
        wrong = [option.name for option in given_options(context)]
        wrong += [*(assignments or []), *([thing] if thing else []), *(["--recipe"] if recipe else [])]
        if wrong or out is not None:
            raise InputError(_ONLY_NEW + ", ".join([*wrong, *(["--out"] if out else [])]))
        run = TrainingRun.open(resume)
        if run.config.supernet is not None:
            raise InputError(f"--resume: '{resume}' trains a supernet; resume it with: {run.resume_command}")
        if (result := run.result()) is not None:
            say(console, f"'{run.path}' has ended: test top-1 {result['test_top1']:.2%}. To train again: another --out")
            return
        _execute(run, None, console)
        return
    if thing is None:
        raise InputError("train: expected a network, such as efficientnet_b0 or a run directory, or --resume FOLDER")
    changes = given(context)
    named = with_assignments(changes, assignments or []).get("data", {}).get("source")
    known: dict[str, Any] = {"data": data_of_run(thing, named)}
    if known["data"] and (supernet := supernet_of_run(thing)) is not None:
        known["teacher"] = supernet
    changes = laid_over(known, changes)
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
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.core.errors import InputError
    from nas.scale.find_network import find_network
    from nas.training.config import make_config, with_absolute_paths
    from nas.training.recipe import finetuning_recipe
    from nas.training.session import prepare_training
    from nas.weights.find import inherited_weights

    if "gpus_per_worker" in changes.get("workers", {}) and not changes["workers"].get("count"):
        raise InputError("--gpus-per-worker: applies only to worker processes; give --workers N too")
    network = find_network(thing)
    known: dict[str, Any] = {"thing": thing, "resolution": network.resolution}
    if "init" not in changes and (inherited := inherited_weights(thing)) is not None:
        known |= {"init": thing, "resolution": inherited.network.resolution}
        recipe = recipe or finetuning_recipe(int(changes.get("resolution", known["resolution"])))
    changes = {**known, **changes}
    config = with_absolute_paths(make_config(changes, recipe, assignments))
    with ConsoleCallback(console) as callback:
        prepared = prepare_training(network, config, out, callback)
    try:
        _execute(prepared.run, prepared.images, console)
    except InputError:
        prepared.run.discard()
        raise


def _execute(run: TrainingRun, images: Any, console: Console) -> None:
    """Run the training, show its progress, and print its result."""
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.shown_training import train_shown
    from nas.cli.display.training_progress import print_result
    from nas.report.training import draw_training_report

    train_shown(run, images, console)
    with ConsoleCallback(console) as terminal:
        draw_training_report(run.path, terminal)
    print_result(run, console)
