"""``nas make``: the whole way from a folder of images to a trained and exported network."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands.show import Json
from nas.cli.config_options import given, given_options, with_config_options
from nas.cli.display.output import Quiet
from nas.cli.guard import INTERRUPTED, guarded

if TYPE_CHECKING:
    from pydantic import BaseModel


_RUN = "The run"


def _make_config() -> type[BaseModel]:
    from nas.make.config import MakeConfig

    return MakeConfig


MakeCommand = with_config_options(_make_config)


@guarded
def make(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(help="The folder (default: made/NAME).", rich_help_panel=_RUN)] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the interrupted work in this folder.", rich_help_panel=_RUN)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="data.KEY=VALUE or objective.KEY=VALUE; repeatable.", rich_help_panel=_RUN),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
) -> None:
    """Make a network for your images: search, confirm, train in full, export and draw the page, all within --minutes.

    The time is divided by the program. An interrupted run goes on where it was, with --resume.

    Examples:
      nas make --data DIR --target-flops 20M --minutes 30 --out mine

      nas make --data DIR --for phone

      nas make --resume mine
    """
    from nas.cli.display.make_progress import MakeConsole, print_made
    from nas.cli.display.output import make_console, print_json, say
    from nas.cli.interruption import wish_to_stop
    from nas.core.errors import InputError, WorkError
    from nas.core.program import program
    from nas.make import session

    console = make_console()
    changes = given(context)
    if resume is not None:
        wrong = [option.name for option in given_options(context)]
        wrong += [*(["--set"] if assignments else []), *(["--out"] if out else [])]
        if wrong:
            raise InputError(f"--resume: the work keeps its settings; leave out {', '.join(wrong)}")
    folder = resume or out or Path("made") / _name(changes)
    command = f"{program()} make --resume {shlex.quote(str(folder))}"
    with MakeConsole(console, quiet=json) as callback:
        try:
            if resume is not None:
                made = session.resume(resume, callback, wish_to_stop)
            else:
                made = session.begin(_config(changes, assignments or []), folder, callback, wish_to_stop)
        except KeyboardInterrupt:
            say(console, f"interrupted; what is finished is saved; go on with: {command}")
            raise typer.Exit(INTERRUPTED) from None
        except WorkError as error:
            raise WorkError(f"{error}. To go on: {command}") from None
    if json:
        print_json(made.result)
        return
    print_made(made, console)


def _config(changes: dict[str, Any], assignments: list[str]) -> Any:
    from nas.core.changes import with_assignments
    from nas.core.errors import InputError
    from nas.core.section import validated
    from nas.evaluate.data.load import absolute_data
    from nas.make.config import MakeConfig, with_absolute_paths

    values = with_assignments(changes, assignments)
    if "source" not in values.get("data", {}):
        raise InputError("make: --data is missing: a folder or zip of images, or a name that nas data list shows")
    if "resolution" in values["data"]:
        raise InputError("data.resolution: follows from --resolution; give that")
    config = validated(MakeConfig, values, "the command line")
    return with_absolute_paths(config.model_copy(update={"data": absolute_data(config.data)}))


def _name(changes: dict[str, Any]) -> str:
    source = str(changes.get("data", {}).get("source", "network"))
    return Path(source).resolve().stem or "network"
