"""Runs as a table: one row for each, or two side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nas.cli.display.output import plain_table
from nas.search.overview import FIELDS, NUMBERS, RunSummary


def run_table(runs: Sequence[RunSummary]) -> Table:
    """Return a table with a row for each run."""
    table = plain_table("run", *FIELDS, right=NUMBERS)
    for one in runs:
        table.add_row(str(one.path), *one.cells())
    return table


def pair_table(first: RunSummary, second: RunSummary) -> Table:
    """Return a table with a column for each of two runs; what differs is marked."""
    table = plain_table("", str(first.path), str(second.path) + (" " if first.path == second.path else ""), "differs")
    for name, one, other in zip(FIELDS, first.cells(), second.cells(), strict=True):
        table.add_row(name, one, other, "≠" if one != other else "")
    return table
