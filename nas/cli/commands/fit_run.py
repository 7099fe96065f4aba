"""``nas scale --fit``: begin or resume the grid search of alpha, beta and gamma, and print its result."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.cli import search_run
from nas.cli.display.console_callback import ConsoleCallback
from nas.cli.display.output import make_console, plain_table, say, say_files, say_next, show_table
from nas.core.changes import Changes
from nas.core.errors import InputError
from nas.core.units import format_quantity
from nas.report.page import draw_report
from nas.scale.family import Member
from nas.search.baseline import Baseline
from nas.search.run_directory import Run, read_config
from nas.search_spaces.network import Network
from nas.studies.scaling_fit import FAMILY, SHOWN, Fit, conclude_fit, fit_config

RESUMABLE = ("trials", "workers")  # options that a resumed grid search takes


def fit_changes(given: Changes, max_memory: str | None, keep_stem_head: bool) -> dict[str, Any]:
    """Return a grid search's configuration changes, including ``--max-memory`` and ``--keep-stem-head``."""
    own = dict(given)
    if max_memory is not None:
        own["objective"] = {"limits": {"memory_bytes": max_memory}}
    if keep_stem_head:
        own["scaling"] = {**own.get("scaling", {}), "keep_stem_and_head": True}
    return own


def fit(baseline: Network, changes: Changes, assignments: Sequence[str], out: Path | None) -> Path:
    """Train every triple of the grid, print the best, write its family, and return the report's path.

    Raises:
        InputError, WorkError: as ``nas search``.
    """
    return _report(*search_run.begin(fit_config(baseline, changes, assignments), out))


def go_on(path: Path, changes: Changes) -> Path:
    """Resume a grid search and return the report's path.

    Raises:
        InputError: if the folder holds no grid search.
    """
    if (path / "config.yaml").is_file() and read_config(path).scaling is None:
        raise InputError(f"--resume: '{path}' is a run of nas search; resume it with: nas search --resume {path}")
    return _report(*search_run.resume(path, changes))


def _report(run: Run, baseline: Baseline) -> Path:
    found, console = conclude_fit(run, baseline), make_console()
    best = found.triples[0].rule
    console.print()
    say(console, f"Best triple     alpha {best.alpha:g}, beta {best.beta:g}, gamma {best.gamma:g}")
    if found.alike:
        same = ", ".join(f"{rule.alpha:g}/{rule.beta:g}/{rule.gamma:g}" for rule in found.alike[:5])
        say(console, f"                at phi = 1 the same network as {same}")
    noise = "unknown: nothing was trained twice" if found.noise is None else f"± {100 * found.noise:.2f} points"
    say(console, f"Seed noise      {noise} (standard deviation of one confirming training)")
    _print_triples(console, found)
    _print_family(console, found.family)
    files = [
        found.files[0],
        run.path / FAMILY,
        *(draw_report(run.path, ConsoleCallback(console)) if run.config.report else []),
    ]
    say_files(console, files, 16)
    if found.family:
        say_next(
            console, "train", run.path / FAMILY / f"{found.family[0].network.name}.yaml", "--data", "DIR", column=16
        )
    return found.files[0]


def _print_triples(console: Console, found: Fit) -> None:
    numbers = ("alpha", "beta", "gamma", "x MACs", "nominal x", "accuracy", "confirmed", "trainings")
    table = plain_table(*numbers, "", right=numbers)
    for triple in found.triples[:SHOWN]:
        rule, again = triple.rule, triple.confirmed
        cells = [f"{value:g}" for value in (rule.alpha, rule.beta, rule.gamma)]
        cells += [f"{triple.growth:.2f}", f"{rule.growth:.2f}", f"{triple.accuracy:.2%}"]
        cells += [f"{statistics.fmean(again):.2%}" if again else "", str(len(again) or "")]
        table.add_row(*cells, "not significantly different from the best" if triple.tied else "")
    show_table(console, table)


def _print_family(console: Console, family: Sequence[Member]) -> None:
    numbers = ("phi", "width", "depth", "resolution", "MACs", "params", "x MACs", "nominal x")
    table = plain_table("name", *numbers, right=numbers)
    for member in family:
        row = member.row()
        cells = [f"{row['phi']:g}", f"{row['width']:.3g}", f"{row['depth']:.3g}", f"{row['resolution']} px"]
        cells += [format_quantity(row["macs"]), format_quantity(row["params"])]
        table.add_row(row["name"], *cells, f"{member.macs_ratio:.2f}", f"{member.nominal_ratio or 0:.0f}")
    show_table(console, table)
