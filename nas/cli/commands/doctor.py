"""``nas doctor``: what this machine can do, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.commands.show import Json
from nas.cli.guard import WORK_FAILED, guarded

_MARKS = {"ok": ("ok", "green"), "gap": ("gap", "yellow"), "broken": ("broken", "red")}


@guarded
def doctor(
    out: Annotated[Path, typer.Option(help="Where runs will be written.")] = Path("runs"),
    ray: Annotated[bool, typer.Option("--ray", help="Start a local Ray cluster too; takes some seconds.")] = False,
    json: Json = False,
) -> None:
    """Check Python, PyTorch, GPUs, cores, memory, Ray, disks, data and optional packages, with advice on each gap.

    Exits with 1 if something that every search needs is broken.

    Examples:
      nas doctor

      nas doctor --ray --out /mnt/runs
    """
    from rich.text import Text

    from nas.cli.display.output import make_console, plain_table, print_json, say_next, show_table
    from nas.cli.doctor import examine

    found = list(examine(out, ray))
    broken = [one for one in found if one.state == "broken"]
    if json:
        print_json({"ok": not broken, "findings": [one.as_json() for one in found]})
    else:
        console = make_console()
        table = plain_table("", "what", "found", wrap=("found",))
        for one in found:
            word, style = _MARKS[one.state]
            table.add_row(Text(word, style=style), one.name, one.found + (f"\n→ {one.advice}" if one.advice else ""))
        show_table(console, table)
        say_next(console, "search", "--target-flops", "400M")
    if broken:
        raise typer.Exit(WORK_FAILED)
