"""``nas init``: write a configuration, and optionally a search space, to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.display.output import Quiet
from nas.cli.guard import guarded

CONFIG, SPACE = "search.yaml", "space.yaml"


@guarded
def init(
    folder: Annotated[Path, typer.Argument(help="Folder for the files.")] = Path(),
    space: Annotated[bool, typer.Option("--space", help="Also write a search space that you can edit.")] = False,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
) -> None:
    """Write a configuration with a comment on every key and, with --space, a search space that passes nas check.

    Examples:
      nas init

      nas init mine --space
    """
    from nas.cli.display.output import make_console, say_files, say_next
    from nas.cli.starter_files import starter_config, starter_space
    from nas.core.errors import InputError
    from nas.core.files import cannot_write, write_whole

    config, table = folder / CONFIG, folder / SPACE
    files = [config, table] if space else [config]
    for file in files:
        if file.exists():
            raise InputError(f"init: '{file}' exists already; name another folder: nas init FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    if space:
        write_whole(table, starter_space(str(table), str(config)))
    write_whole(config, starter_config(str(config), SPACE if space else None))
    console = make_console()
    say_files(console, files)
    if space:
        say_next(console, "check", table, "--targets", "4M,6M")
    say_next(console, "search", "--config", config)
