"""What commands print: stage tables, lists, JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nas.evaluate.cost import cost_by_part, network_cost
from nas.evaluate.quantity import format_quantity
from nas.search_spaces.network import Network, output_size


def make_console() -> Console:
    """Return the console of standard output; without a terminal it is wide enough for every line."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def say(console: Console, text: str, style: str = "") -> None:
    """Print a line as it is: no markup read into it, never broken, so that paths can be copied."""
    console.print(Text(text, style=style), soft_wrap=True)


def print_json(data: Any) -> None:
    """Print one JSON document and nothing else."""
    print(json.dumps(data, indent=2))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table with a rule under its header."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return table


# Header, its short form for narrow terminals, the row's key, and what to leave the column out for if all rows have it.
_COLUMNS = (
    ("stage", "stage", "name", None),
    ("op", "op", "op", None),
    ("kernel", "k", "kernel", None),
    ("stride", "s", "stride", None),
    ("expand", "exp", "expand", None),
    ("channels", "out", "channels", None),
    ("layers", "n", "layers", None),
    ("SE", "SE", "se", None),
    ("input px", "px", "size", None),
    ("MACs", "MACs", "macs", None),
    ("params", "params", "params", None),
    ("skip", "skip", "skip", "identity"),
    ("activation", "act", "activation", "swish"),
)
_LEFT, _WIDE = ("stage", "op", "skip", "activation", "act"), 110


def stage_table(network: Network, width: int) -> Table:
    """Return a network's stage table as people print it, with the cost of every row.

    Args:
        network: what to print.
        width: of the terminal; narrow ones get short headers.
    """
    rows = _rows(network)
    shown = [column for column in _COLUMNS if any(row[column[2]] not in ("", column[3]) for row in rows)]
    headers = [long if width >= _WIDE else short for long, short, _, _ in shown]
    table = plain_table(*headers, right=tuple(header for header in headers if header not in _LEFT))
    for row in rows:
        table.add_row(*(str(row[key]) for _, _, key, _ in shown))
    cost = network_cost(network)
    totals = {"name": "total", "macs": f"{cost.macs:,}", "params": f"{cost.params:,}"}
    table.add_section()
    table.add_row(*(totals.get(key, "") for _, _, key, _ in shown))
    return table


def describe_network(network: Network) -> str:
    """Say in one line what a network costs and where that was counted."""
    cost = network_cost(network)
    return (
        f"{network.name}: {format_quantity(cost.macs)} MACs, {format_quantity(cost.params)} params, "
        f"counted at {network.resolution} px with {network.classes} classes"
    )


def _rows(network: Network) -> list[dict[str, Any]]:
    """Return the table's cells by key; cells that do not apply are empty."""
    stem, head = network.stem, network.head
    parts: list[dict[str, Any]] = [{"op": stem.op, "kernel": stem.kernel, "stride": stem.stride, "layers": 1}]
    parts[0] |= {"channels": stem.channels, "activation": stem.activation}
    for stage in network.stages:
        row: dict[str, Any] = {"op": stage.op, "kernel": stage.kernel, "stride": stage.stride, "expand": stage.expand}
        row |= {"channels": stage.channels, "layers": stage.layers, "se": f"{stage.se:g}" if stage.se else "-"}
        parts.append(row | {"skip": stage.skip, "activation": stage.activation})
    last = {"op": "conv+fc", "kernel": 1, "stride": 1, "layers": 1}
    parts.append(last | {"channels": head.channels, "activation": head.activation})
    size = network.resolution
    for part, (name, cost) in zip(parts, cost_by_part(network), strict=True):
        part |= {"name": name, "size": size, "macs": f"{cost.macs:,}", "params": f"{cost.params:,}"}
        size = output_size(size, part["stride"])
    return [dict.fromkeys((key for _, _, key, _ in _COLUMNS), "") | row for row in parts]
