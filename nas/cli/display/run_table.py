"""Runs as a table: one row for each, or two side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nas.cli.display.output import plain_table
from nas.core.units import format_duration, format_quantity
from nas.search.overview import RunSummary

FIELDS = ("space", "controller", "images", "budget", "best", "test", "MACs", "control", "trials", "state", "time")


def run_table(runs: Sequence[RunSummary]) -> Table:
    """Return a table with a row for each run."""
    table = plain_table("run", *FIELDS, right=("best", "test", "MACs", "trials", "time"))
    for one in runs:
        table.add_row(str(one.path), *run_cells(one))
    return table


def pair_table(first: RunSummary, second: RunSummary) -> Table:
    """Return a table with a column for each of two runs; what differs is marked."""
    table = plain_table("", str(first.path), str(second.path) + (" " if first.path == second.path else ""), "differs")
    for name, one, other in zip(FIELDS, run_cells(first), run_cells(second), strict=True):
        table.add_row(name, one, other, "≠" if one != other else "")
    return table


def run_cells(one: RunSummary) -> tuple[str, ...]:
    """Return a run's values as texts, in the order of ``FIELDS``."""
    return (
        one.config.space.rpartition("/")[2],
        str(one.config.controller["name"]),
        one.data,
        one.budget,
        "" if one.accuracy is None else f"{one.accuracy:.2%}",
        "" if one.test_accuracy is None else f"{one.test_accuracy:.2%}",
        "" if one.macs is None else format_quantity(one.macs),
        one.control,
        f"{one.trials:,}",
        one.state,
        format_duration(one.seconds),
    )
