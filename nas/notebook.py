"""Results as notebooks show them: tables and pictures in HTML that needs no style of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nas.core.units import format_quantity
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.cost.stage_table_view import stage_table
from nas.search_spaces.network import Network

_CELL = "padding: 0 0.8em 0 0; text-align: {side}; white-space: nowrap"


def table_html(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Return a table; ``right`` are the columns of numbers."""
    sides = [_CELL.format(side="right" if column in right else "left") for column in columns]
    head = "".join(f'<th style="{side}">{escape(column)}</th>' for side, column in zip(sides, columns, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{side}">{escape(cell)}</td>' for side, cell in zip(sides, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def network_html(network: Network) -> str:
    """Return a network's stage table with what it costs."""
    cost, content = network_cost(network), stage_table(network)
    words = (
        f"<strong>{escape(network.name)}</strong>: {format_quantity(cost.macs)} MACs, {format_quantity(cost.params)} "
        f"params at {network.resolution} px with {network.classes} classes"
    )
    return f"<p>{words}</p>" + table_html(content.columns, [*content.rows, content.total], content.right)
