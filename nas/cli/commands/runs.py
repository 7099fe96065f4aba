"""``nas runs``: the runs in a folder, one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.commands.show import Json
from nas.cli.guard import guarded


@guarded
def runs(
    folder: Annotated[Path, typer.Argument(help="A folder that holds run directories, at any of three levels.")] = Path(
        "runs"
    ),
    json: Json = False,
) -> None:
    """List the runs in a folder: space, images, budget, best network, control, state and seconds.

    Examples:
      nas runs

      nas runs DIR --json
    """
    from nas.cli.display.output import make_console, print_json, say, say_next, show_table, warn
    from nas.cli.display.run_table import run_table
    from nas.core.errors import InputError
    from nas.search.overview import RunSummary, find_runs

    console, found, left_out = make_console(), list[RunSummary](), list[str]()
    for path in find_runs(folder):
        try:
            found.append(RunSummary.read(path))
        except InputError as error:
            left_out.append(f"{path} is left out: {error}")
    if json:
        print_json([one.row() for one in found])
        return
    for line in left_out:
        warn(console, line)
    if not found:
        say(console, f"no runs in '{folder}'")
        say_next(console, "search", "--target-flops", "400M")
        return
    show_table(console, run_table(found))
    if len(found) > 1:
        say_next(console, "compare", found[0].path, found[1].path)
    else:
        say_next(console, "report", found[0].path)
