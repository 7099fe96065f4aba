"""``nas search``: find a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli import completion
from nas.cli.config_options import config_options, given, given_options, run_config, with_config_options
from nas.cli.display.output import Quiet
from nas.cli.guard import guarded

_RUN = "The run"
SearchCommand = with_config_options(run_config)


@guarded
def search(
    context: typer.Context,
    config: Annotated[
        str | None,
        typer.Option(
            help="A shipped configuration or a YAML file (default: default).",
            rich_help_panel=_RUN,
            autocompletion=completion.configurations,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run directory (default: runs/SPACE-TIME).", rich_help_panel=_RUN)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume this run directory; a larger --trials extends it.", rich_help_panel=_RUN)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="key.path=value of the configuration; repeatable.", rich_help_panel=_RUN),
    ] = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="With --resume: go on with a space, evaluator or controller that was edited.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    trust_code: Annotated[
        bool,
        typer.Option(
            "--trust-code",
            help="With --resume: run the code that the run directory keeps, if the original is gone.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
) -> None:
    """Search for a network; the result is a baseline network and a Pareto front.

    Networks are trained on --data. Without --data, their ImageNet accuracy is predicted.

    Examples:
      nas search --target-flops 400M

      nas search --config digits

      nas search --target-flops 400M --data DIR --trials 100

      nas search --resume runs/NAME --trials 200

      nas search --supernet supernets/NAME --target-flops 4M,8M,16M
    """
    from nas.cli import search_run
    from nas.core.errors import InputError

    if resume is None:
        if accept_changes or trust_code:
            raise InputError(f"{'--accept-changes' if accept_changes else '--trust-code'}: applies only with --resume")
        search_run.start(config, given(context), assignments or [], out)
        return
    flags = {"--config": config, "--out": out, "--set": assignments}
    wrong = [option.name for option in given_options(context) if not option.flag.resumable]
    wrong += [name for name, value in flags.items() if value]
    if wrong:
        taken = [option.name for option in config_options(run_config).values() if option.flag.resumable]
        raise InputError(
            f"--resume: a run keeps its configuration; it takes only {', '.join(taken)}, not {', '.join(wrong)}"
        )
    search_run.go_on(resume, given(context), accept_changes, trust_code)
