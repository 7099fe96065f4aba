"""The work of ``nas search``: begin or resume a run, show its progress, write its page, and print the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from nas.cli.display.console_callback import ConsoleCallback
from nas.cli.display.output import make_console
from nas.cli.display.search_summary import print_baseline
from nas.cli.guard import INTERRUPTED
from nas.core.errors import InputError
from nas.core.user_code import trusted_run
from nas.search import session
from nas.search.baseline import Baseline
from nas.search.budgets import Budgets, targets_of
from nas.search.callback import SearchCallback
from nas.search.config import RunConfig, load_config, with_absolute_paths
from nas.search.run_directory import Run
from nas.tracking.wandb_run import WandbCallback

_Work = Callable[[Sequence[SearchCallback]], tuple[Run, Baseline]]


def start(reference: str | None, changes: Mapping[str, Any], assignments: Sequence[str], out: Path | None) -> None:
    """Begin a run, or one for each of several targets.

    Raises:
        InputError: for a mistake in the input, before any work.
        WorkError: if the work fails.
    """
    if targets := targets_of(changes):
        from nas.cli import budgets_run

        one = {**changes, "objective": {**changes["objective"], "target_flops": targets[-1]}}
        budgets_run.start(with_absolute_paths(load_config(reference, one, assignments)), targets, out)
        return
    begin(with_absolute_paths(load_config(reference, changes, assignments)), out)


def begin(config: RunConfig, out: Path | None) -> tuple[Run, Baseline]:
    """Begin a run of a configuration, and print the result.

    Raises:
        InputError, WorkError: as ``start``.
    """
    return _show(lambda callbacks: session.begin(config, out, callbacks))


def go_on(path: Path, changes: Mapping[str, Any], accept_changes: bool, trust_code: bool) -> None:
    """Resume a run, or the runs of several targets, and print the result.

    Raises:
        InputError, WorkError: as ``resume``.
    """
    if (budgets := Budgets.read(path)) is None:
        resume(path, changes, accept_changes, trust_code)
        return
    if changes or accept_changes or trust_code:
        raise InputError(
            f"--resume: '{path}' holds a search for each of several targets, which go on as they are; to change one, "
            f"resume its folder, such as {next(iter(budgets.runs.values()))}"
        )
    from nas.cli import budgets_run

    budgets_run.run(budgets)


def resume(
    path: Path, changes: Mapping[str, Any], accept_changes: bool = False, trust_code: bool = False
) -> tuple[Run, Baseline]:
    """Resume a run, and print the result (see ``nas.search.session.resume``).

    Raises:
        InputError: if there is no run, or the changes do not fit it.
        WorkError: if the work fails.
    """
    return _show(lambda callbacks: session.resume(path, changes, callbacks, accept_changes, trust_code))


def _show(work: _Work) -> tuple[Run, Baseline]:
    console = make_console()
    with ConsoleCallback(console) as terminal, WandbCallback(terminal) as wandb:
        try:
            run, baseline = work([terminal, wandb])
        except session.SearchInterrupted:
            raise typer.Exit(INTERRUPTED) from None
        if run.config.report and run.config.scaling is None:  # a grid search draws it later, with its family
            from nas.report.page import draw_report  # loads matplotlib

            with trusted_run():  # the user's own
                baseline.files.extend(draw_report(run.path, terminal))
        print_baseline(baseline, run, console)
    return run, baseline
