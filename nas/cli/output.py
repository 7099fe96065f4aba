"""What commands print: stage tables, lists, JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.evaluate.cost import cost_by_part, network_cost
from nas.evaluate.quantity import format_quantity
from nas.search_spaces.network import Network


def make_console() -> Console:
    """Return the console of standard output; without a terminal it is wide enough for every line."""
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def print_json(data: Any) -> None:
    """Print one JSON document and nothing else."""
    print(json.dumps(data, indent=2))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table with a rule under its header."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return table


def stage_table(network: Network) -> Table:
    """Return a network's stage table as people print it, with the cost of every row."""
    numbers = ("kernel", "stride", "expand", "channels", "layers", "SE", "input px", "MACs", "params")
    table = plain_table("stage", "op", *numbers, "skip", "activation", right=numbers)
    size = network.resolution
    for (name, cost), row in zip(cost_by_part(network), _rows(network), strict=True):
        stride = row.pop("step")
        cells = [str(row.get(key, "")) for key in ("op", "kernel", "stride", "expand", "channels", "layers", "se")]
        costs = [str(size), f"{cost.macs:,}", f"{cost.params:,}"]
        table.add_row(name, *cells, *costs, str(row.get("skip", "")), str(row["activation"]))
        size = -(-size // stride)
    cost = network_cost(network)
    table.add_section()
    table.add_row("total", *[""] * 7, "", f"{cost.macs:,}", f"{cost.params:,}")
    return table


def describe_network(network: Network) -> str:
    """Say in one line what a network costs and where that was counted."""
    cost = network_cost(network)
    return (
        f"{network.name}: {format_quantity(cost.macs)} MACs, {format_quantity(cost.params)} params, "
        f"counted at {network.resolution} px with {network.classes} classes"
    )


def _rows(network: Network) -> list[dict[str, Any]]:
    stem, head = network.stem, network.head
    rows: list[dict[str, Any]] = [
        {"op": stem.op, "kernel": stem.kernel, "stride": stem.stride, "channels": stem.channels}
        | {"layers": 1, "activation": stem.activation, "step": stem.stride}
    ]
    for stage in network.stages:
        rows.append(
            {"op": stage.op, "kernel": stage.kernel, "stride": stage.stride, "expand": stage.expand}
            | {"channels": stage.channels, "layers": stage.layers, "se": f"{stage.se:g}" if stage.se else "-"}
            | {"skip": stage.skip, "activation": stage.activation, "step": stage.stride}
        )
    last = {"op": "conv, pool, linear", "kernel": 1, "stride": 1, "channels": head.channels, "layers": 1}
    return [*rows, last | {"activation": head.activation, "step": 1}]
