"""The ``nas`` command and its subcommands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from nas.cli.commands import bench as bench_command
from nas.cli.commands import cam as cam_command
from nas.cli.commands import check as check_command
from nas.cli.commands import compare as compare_command
from nas.cli.commands import confirm as confirm_command
from nas.cli.commands import dashboard as dashboard_command
from nas.cli.commands import data as data_commands
from nas.cli.commands import doctor as doctor_command
from nas.cli.commands import export as export_command
from nas.cli.commands import init as init_command
from nas.cli.commands import latency as latency_command
from nas.cli.commands import list as list_commands
from nas.cli.commands import make as make_command
from nas.cli.commands import rediscover as rediscover_command
from nas.cli.commands import report as report_command
from nas.cli.commands import runs as runs_command
from nas.cli.commands import scale as scale_command
from nas.cli.commands import search as search_command
from nas.cli.commands import sensitivity as sensitivity_command
from nas.cli.commands import show as show_commands
from nas.cli.commands import study as study_command
from nas.cli.commands import supernet as supernet_commands
from nas.cli.commands import surrogate as surrogate_commands
from nas.cli.commands import train as train_command
from nas.cli.commands import trust as trust_command

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
        from nas.core.version import package_version

        typer.echo(f"nas {package_version()}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Search, scale and inspect neural networks for your task and your budget."""


_SEARCH, _AFTER, _LOOK, _KNOW = (
    "Search",
    "From a baseline to deployment",
    "Inspect networks and spaces",
    "Components, data and environment",
)

_COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    _SEARCH: {
        "make": make_command.make,
        "search": search_command.search,
        "report": report_command.report,
        "runs": runs_command.runs,
        "dashboard": dashboard_command.dashboard,
        "export-study": dashboard_command.export_study,
        "trust": trust_command.trust,
        "confirm": confirm_command.confirm,
        "rediscover": rediscover_command.rediscover,
    },
    _AFTER: {
        "scale": scale_command.scale,
        "scale-study": study_command.scale_study,
        "train": train_command.train,
        "export": export_command.export,
        "cam": cam_command.cam,
        "bench": bench_command.bench,
    },
    _LOOK: {
        "show": show_commands.show,
        "compare": compare_command.compare,
        "profile": show_commands.profile,
        "sensitivity": sensitivity_command.sensitivity,
        "check": check_command.check,
    },
    _KNOW: {
        "spaces": list_commands.spaces,
        "controllers": list_commands.controllers,
        "evaluators": list_commands.evaluators,
        "doctor": doctor_command.doctor,
        "init": init_command.init,
    },
}
_CLASSES = {  # command classes that take options from a configuration
    "make": make_command.MakeCommand,
    "search": search_command.SearchCommand,
    "trust": trust_command.TrustCommand,
    "scale": scale_command.ScaleCommand,
    "scale-study": study_command.StudyCommand,
    "train": train_command.TrainCommand,
}
for _panel, _commands in _COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, cls=_CLASSES.get(_name), rich_help_panel=_panel)(_command)
app.add_typer(supernet_commands.app, name="supernet", rich_help_panel=_SEARCH)
app.add_typer(data_commands.app, name="data", rich_help_panel=_KNOW)
app.add_typer(latency_command.app, name="latency", rich_help_panel=_KNOW)
app.add_typer(surrogate_commands.app, name="surrogate", rich_help_panel=_KNOW)
