"""The work of searches for several budgets: run them, write their tables and their page, and print the family."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path

import typer

from nas.cli.display.console_callback import ConsoleCallback
from nas.cli.display.family_table import print_family
from nas.cli.display.output import make_console, say, say_files, say_next
from nas.cli.guard import INTERRUPTED
from nas.core.program import program
from nas.core.user_code import trusted_run
from nas.search.budget_family import FamilyMember, family_of, write_tables
from nas.search.budgets import Budgets, search_budgets
from nas.search.config import RunConfig
from nas.search.run_directory import check_free
from nas.search.session import SearchInterrupted
from nas.tracking.wandb_run import WandbCallback

_PAGE = "report.html"


def start(config: RunConfig, targets: tuple[float, ...], out: Path | None) -> list[FamilyMember]:
    """Search for several budgets with one supernet, and print the family.

    Args:
        config: the configuration of each search, with absolute paths.
        targets: a target in MACs for each.
        out: a new folder; ``None``: ``runs/SPACE-TIME``.

    Raises:
        InputError: for a mistake in the input, before any work.
        WorkError: if the work fails.
    """
    path = out or Path("runs") / f"{Path(config.space).stem}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    check_free(path)
    return run(Budgets(path, config, targets))


def run(budgets: Budgets) -> list[FamilyMember]:
    """Begin the searches of a folder, or go on with them; then write and print the family.

    Raises:
        InputError, WorkError: as ``start``.
    """
    console = make_console()
    with ConsoleCallback(console) as terminal, WandbCallback(terminal) as wandb:
        try:
            runs = search_budgets(budgets, [terminal, wandb])
        except SearchInterrupted:
            say(console, f"All budgets: {program()} search --resume {shlex.quote(str(budgets.path))}")
            raise typer.Exit(INTERRUPTED) from None
    members = family_of(budgets.path, runs)
    files = write_tables(budgets.path, members, runs)
    if budgets.config.report:
        from nas.report.several import write_several  # loads matplotlib

        with trusted_run():  # the user's own
            files += write_several(list(runs.values()), budgets.path / _PAGE)
    console.print()
    print_family(members, console)
    say_files(console, [*runs.values(), *files])
    say_next(console, "train", list(runs.values())[-1])
    return members
