"""The ``nas`` command and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from nas.cli import (
    bench_command,
    cam_command,
    check_command,
    compare_command,
    confirm_command,
    data_commands,
    export_command,
    latency_command,
    list_commands,
    rediscover_command,
    scale_command,
    search_command,
    sensitivity_command,
    show_commands,
    study_command,
    surrogate_commands,
    train_command,
    trust_command,
)

app = typer.Typer(
    name="nas",
    help="Search, scale and inspect neural networks for your task and your budget.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from nas import __version__

        typer.echo(f"nas {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Search, scale and inspect neural networks for your task and your budget."""


app.command("search")(search_command.search)
app.command("scale")(scale_command.scale)
app.command("scale-study")(study_command.scale_study)
app.command("train")(train_command.train)
app.command("show")(show_commands.show)
app.command("compare")(compare_command.compare)
app.command("check")(check_command.check)
app.command("profile")(show_commands.profile)
app.command("cam")(cam_command.cam)
app.command("export")(export_command.export)
app.command("bench")(bench_command.bench)
app.command("spaces")(list_commands.spaces)
app.command("controllers")(list_commands.controllers)
app.command("evaluators")(list_commands.evaluators)
app.command("rediscover")(rediscover_command.rediscover)
app.command("confirm")(confirm_command.confirm)
app.command("trust")(trust_command.trust)
app.command("sensitivity")(sensitivity_command.sensitivity)
app.add_typer(data_commands.app, name="data")
app.add_typer(surrogate_commands.app, name="surrogate")
app.add_typer(latency_command.app, name="latency")
