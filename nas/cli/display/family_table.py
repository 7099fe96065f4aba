"""Prints a family by budgets: the networks that were found, beside those of compound scaling."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from nas.cli.display.output import plain_table, say, show_table
from nas.core.units import short_quantity
from nas.search.budget_family import FamilyMember, dominated

_FIGURES = ("width", "depth", "resolution", "MACs", "params", "of the budget", "validation", "test")


def print_family(members: Sequence[FamilyMember], console: Console) -> None:
    """Print a family as a table, by rising budgets."""
    table = plain_table("name", "by", *_FIGURES, right=_FIGURES)
    for one in members:
        factors = ["" if factor is None else f"{factor:.3g}" for factor in (one.width, one.depth)]
        share = f"{one.macs / one.target:.1%} of {short_quantity(one.target)}"
        scores = ["" if score is None else f"{score:.1%}" for score in (one.accuracy, one.test_accuracy)]
        costs = [f"{one.resolution} px", f"{one.macs:,}", f"{one.params:,}"]
        table.add_row(one.name, one.kind, *factors, *costs, share, *scores)
    show_table(console, table)
    for one, better in dominated(members):
        say(console, f"{one.name}: {better.name} is more accurate on the validation images, with fewer MACs")
    say(console, "validation, test: accuracy with the supernet's weights; networks by compound scaling have none")
