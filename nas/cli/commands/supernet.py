"""``nas supernet``: one set of weights for every network of a space inside a budget."""

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

app = typer.Typer(help="One set of weights for every network of a space.", no_args_is_help=True)
_WHAT, _WHERE, _RUN = "What to train", "Where it runs", "The training"


@app.callback()
def root() -> None:
    """One set of weights for every network of a space."""


def _train_config() -> type[BaseModel]:
    from nas.training.config import TrainConfig

    return TrainConfig


_TrainCommand = with_config_options(
    _train_config,
    {
        "data.source": _WHAT,
        "init": _WHAT,
        "teacher": _WHAT,
        "supernet.target_flops": _WHAT,
        "supernet.tolerance": _WHAT,
        "supernet.limits.params": _WHAT,
        "supernet.limits.memory_bytes": _WHAT,
        "supernet.random_networks": _WHAT,
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


@app.command("train", cls=_TrainCommand)
@guarded
def train(
    context: typer.Context,
    space: Annotated[
        str | None,
        typer.Argument(help="A shipped space, FILE.yaml or FILE.py:Class.", autocompletion=completion.spaces),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="supernet, modern or another, or FILE.yaml (default: supernet up to 64 px, else modern).",
            rich_help_panel=_WHAT,
            autocompletion=completion.recipes,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The training's folder (default: supernets/SPACE).", rich_help_panel=_RUN)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume the training in this folder.", rich_help_panel=_RUN)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="recipe.KEY=VALUE, data.KEY=VALUE or supernet.KEY=VALUE.", rich_help_panel=_RUN),
    ] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
) -> None:
    """Train one set of weights for every network of a space inside a budget; a search then trains nothing.

    Examples:
      nas supernet train small-images --data digits --target-flops 4M,8M --out supernets/digits

      nas search --supernet supernets/digits --target-flops 8M
    """
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import make_console, say
    from nas.cli.display.shown_training import train_shown
    from nas.cli.display.supernet_progress import SupernetProgress, print_supernet_result
    from nas.core.errors import InputError
    from nas.training.run import TrainingRun
    from nas.training.supernet.session import prepare_supernet

    console = make_console()
    if resume is not None:
        wrong = [option.name for option in given_options(context)]
        wrong += [*(assignments or []), *([space] if space else []), *(["--recipe"] if recipe else [])]
        if wrong or out is not None:
            raise InputError(
                "resume: a training keeps its settings; leave out " + ", ".join([*wrong, *(["--out"] if out else [])])
            )
        run = TrainingRun.open(resume)
        if run.config.supernet is None:
            raise InputError(f"--resume: '{resume}' trains one network; resume it with: {run.resume_command}")
        if run.result() is not None:
            say(console, f"'{run.path}' has ended. To train again: another --out")
            return
        train_shown(run, None, console, SupernetProgress)
    else:
        if space is None:
            raise InputError("supernet train: expected a space, such as small-images, or --resume FOLDER")
        config = _config(space, given(context), recipe, assignments or [])
        with ConsoleCallback(console) as callback:
            prepared = prepare_supernet(config, out, callback)
        run = prepared.run
        try:
            train_shown(run, prepared.images, console, SupernetProgress)
        except InputError:
            run.discard()
            raise
    print_supernet_result(run, console)


@app.command("family")
@guarded
def family(
    supernet: Annotated[str, typer.Argument(help="The folder of nas supernet train.")],
    targets: Annotated[str, typer.Option(help="Budgets in MACs: 2M,4M,8M.", rich_help_panel=_WHAT)],
    out: Annotated[Path, typer.Option(help="A new folder.", rich_help_panel=_RUN)],
    trials: Annotated[
        int | None, typer.Option(min=1, help="Networks that each search scores.", rich_help_panel=_RUN)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Ray workers; 0: this process.", rich_help_panel=_WHERE)
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.", rich_help_panel=_RUN)] = 0,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Find a network for each of several budgets, beside the compound scaling of the smallest.

    It is nas search with a list of targets, which has more options.

    Examples:
      nas supernet family supernets/mine --targets 2M,4M,8M --out family
    """
    import sys
    from contextlib import nullcontext, redirect_stdout

    from nas.cli import budgets_run
    from nas.search.budgets import parse_targets
    from nas.search.config import load_config, with_absolute_paths

    values: dict[str, Any] = {"evaluator": {"supernet": supernet}, "seed": seed}
    values |= {} if trials is None else {"trials": trials}
    values |= {} if workers is None else {"workers": {"count": workers}}
    config = with_absolute_paths(load_config(None, values, []))
    with redirect_stdout(sys.stderr) if json else nullcontext():
        members = budgets_run.start(config, parse_targets(targets, "--targets"), out)
    if json:
        from nas.cli.display.output import print_json

        print_json([member.row() for member in members])


def _config(space: str, changes: dict[str, Any], recipe: str | None, assignments: list[str]) -> Any:
    from nas.core.changes import laid_over
    from nas.core.errors import InputError
    from nas.search_spaces.catalogue import load_space
    from nas.training.config import make_config, with_absolute_paths
    from nas.training.recipe import supernet_recipe
    from nas.training.supernet.plan import largest_resolution

    if not changes.get("data", {}).get("source"):
        raise InputError("supernet train: --data is missing: a name that nas data list shows, or a folder or zip")
    resolution = largest_resolution(load_space(space))
    defaults: dict[str, Any] = {"thing": space, "supernet": {}, "resolution": resolution}
    chosen = recipe or supernet_recipe(int(changes.get("resolution", resolution)))
    return with_absolute_paths(make_config(laid_over(defaults, changes), chosen, assignments))
