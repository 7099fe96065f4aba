"""What commands print: stage tables, lists, JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nas.evaluate.cost import cost_by_part, network_cost
from nas.evaluate.quantity import format_quantity
from nas.search_spaces.layers import output_size
from nas.search_spaces.network import EXPAND, Head, Network, Stage, Stem


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
    ("SE form", "SE form", "se_form", ""),
    ("skip", "skip", "skip", "identity"),
    ("activation", "act", "activation", "swish"),
)
_LEFT, _WIDE = ("stage", "op", "SE form", "skip", "activation", "act"), 110


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


def cells(part: Stem | Stage | Head) -> dict[str, str]:
    """Return what people read of a part, by field; what does not apply is left out."""
    if isinstance(part, Stem):
        op = part.op if part.pool == "none" else f"{part.op}+{part.pool}pool"
        shape = {"op": op, "kernel": part.kernel, "stride": part.stride, "channels": part.channels, "layers": 1}
        return {key: str(value) for key, value in shape.items()} | {"activation": part.activation}
    if isinstance(part, Head):
        steps = ["conv"] if part.channels else []
        op = "+".join([*steps, *(["fc"] if part.hidden else []), "fc"])
        widths = ", ".join(str(width) for width in (part.channels, part.hidden) if width)
        found = {"op": op, "channels": widths} | ({"kernel": "1", "stride": "1"} if part.channels else {})
        found |= {"dropout": f"{part.dropout:g}"}
        return found | ({"activation": part.activation, "layers": "1"} if widths else {})
    row: dict[str, object] = {"op": part.op, "kernel": part.kernel, "stride": part.stride, "channels": part.channels}
    row |= {"layers": part.layers, "skip": part.skip, "activation": part.activation}
    return {key: str(value) for key, value in row.items()} | {
        "expand": f"{part.expand_ratio:g}" if part.op in EXPAND else "-",
        "se": f"{part.se:g}" if part.se else "-",
        "se_form": _excitation_form(part) if part.se else "",
    }


def _excitation_form(stage: Stage) -> str:
    """Write what of a stage's SE is not as in EfficientNet."""
    odd: list[str] = [stage.se_base] if stage.se_base != "input" else []
    odd += [stage.se_activation] if stage.se_activation else []
    odd += [stage.se_gate] if stage.se_gate != "sigmoid" else []
    return " ".join(odd)


def _rows(network: Network) -> list[dict[str, Any]]:
    """Return the table's cells by key; cells that do not apply are empty."""
    sizes = [network.resolution, network.stem_size]
    for stage in network.stages:
        sizes.append(output_size(sizes[-1], stage.stride))
    rows = []
    for part, size, (name, cost) in zip(network.parts, sizes, cost_by_part(network), strict=True):
        own = {"name": name, "size": str(size), "macs": f"{cost.macs:,}", "params": f"{cost.params:,}"}
        rows.append(dict.fromkeys((key for _, _, key, _ in _COLUMNS), "") | cells(part) | own)
    return rows
