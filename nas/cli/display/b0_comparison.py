"""Prints the network that a search found beside EfficientNet-B0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from nas.cli.display.output import plain_table, say, show_table
from nas.cli.display.side_by_side import side_by_side
from nas.core.units import format_quantity
from nas.evaluate.imagenet.neighbours import Neighbour
from nas.search.b0_comparison import B0Comparison, Side

SHOWN = 3
_LEAST_SAVING = 2_000_000  # MACs; smaller savings are not listed


def print_b0_comparison(found: B0Comparison, nearby: Sequence[Neighbour], console: Console) -> None:
    """Print both stage tables, costs and predictions, B0's rank among random architectures, and the best changes."""
    b0 = replace(found.b0.network, name="efficientnet_b0")
    show_table(console, side_by_side(found.found.network, b0, console.width))
    console.print()
    table = plain_table("", "found", "efficientnet_b0", right=("found", "efficientnet_b0"))
    for label, *cells in _figures(found.found, found.b0):
        table.add_row(label, *cells)
    show_table(console, table)
    low, high = found.gain_interval
    say(
        console,
        f"Gain over B0    {100 * found.gain:+.2f} points, 95% interval {100 * low:+.2f} to {100 * high:+.2f} for one "
        "training of each",
    )
    say(
        console,
        f"Optimism        {100 * found.found.judgement.optimism:+.2f} points: the fit that the search used predicts "
        f"{found.found.judgement.picked_by:.2%}; the figures above are by a fit that the search did not use",
    )
    if not found.b0_inside:
        say(console, "Where B0 stands outside the limits of this search")
    elif found.b0_better_than is not None:
        say(
            console,
            f"Where B0 stands its predicted reward is higher than that of {found.b0_better_than:.3%} of "
            f"{found.sample:,} architectures drawn uniformly from inside the limits",
        )
    if found.found.judgement.extrapolated:
        say(console, "Warning: extrapolated beyond the networks that the predictor was fitted to", style="yellow")
    _print_neighbours(nearby, console)
    console.print()


def _print_neighbours(nearby: Sequence[Neighbour], console: Console, shown: int = SHOWN) -> None:
    """Print the single changes with the largest gain, and those that lose the least accuracy per MAC saved."""
    cheaper = [item for item in nearby if item.macs_change <= -_LEAST_SAVING]
    cheaper.sort(key=lambda item: item.accuracy_change / -item.macs_change, reverse=True)
    for label, items in (("Largest gains  ", nearby[:shown]), ("Best savings   ", cheaper[:shown])):
        say(console, f"{label} {'; '.join(map(_describe_neighbour, items))}")


def _describe_neighbour(item: Neighbour) -> str:
    """Return a change as one line, such as ``k5→k3 in stage 4: −11M MACs, −0.1 pt``."""
    macs = f"{_signed(item.macs_change)}{format_quantity(abs(item.macs_change))} MACs"
    return f"{item.edit}: {macs}, {_signed(item.accuracy_change)}{abs(100 * item.accuracy_change):.2f} pt"


def _signed(value: float) -> str:
    return "−" if value < 0 else "+"


def _figures(found: Side, b0: Side) -> list[tuple[str, ...]]:
    sides = found, b0
    judged = found.judgement, b0.judgement
    rows: list[tuple[str, ...]] = [
        ("MACs", *(f"{side.macs:,}" for side in sides)),
        ("params", *(f"{side.params:,}" for side in sides)),
        ("predicted top-1, 16 epochs", *(f"{item.accuracy:.2%} ± {100 * item.accuracy_std:.2f}" for item in judged)),
        (
            "predicted top-1, 5.5x longer",
            *(f"{item.accuracy_longer:.2%} ± {100 * item.accuracy_longer_std:.2f}" for item in judged),
        ),
    ]
    for metric, label in (("latency_ms", "predicted latency, ms"), ("throughput", "predicted images/s")):
        if metric in found.speed:
            rows.append((label, *(f"{side.speed[metric]:,.2f}" if side.speed else "not known" for side in sides)))
    return rows
