"""Two stage tables side by side."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from rich.table import Table

from nas.cli.display.output import plain_table
from nas.evaluate.cost.exact import cost_by_part
from nas.evaluate.cost.stage_table_view import cells
from nas.search_spaces.network import Network

_WIDE = 118  # characters that both tables need side by side


def side_by_side(first: Network, second: Network, width: int = _WIDE) -> Table:
    """Return both tables with their differences marked, side by side or, in a narrow terminal, stacked."""
    if width < _WIDE:
        return _stacked(first, second)
    names = first.name, second.name + (" " if first.name == second.name else "")
    table = plain_table("part", names[0], "MACs", names[1], "MACs ", "differs in", right=("MACs", "MACs "))
    for row in part_rows(first, second):
        texts = (_text(row["first"]), row["macs"][0], _text(row["second"]), row["macs"][1])
        mark = "≠ " + ", ".join(row["differs"]) if row["differs"] else ""
        table.add_row(row["part"], *texts, mark, style="bold" if row["differs"] else "")
    return table


def _stacked(first: Network, second: Network) -> Table:
    table = plain_table("part", f"{first.name} / {second.name}", "MACs", "", right=("MACs",))
    for row in part_rows(first, second):
        style = "bold" if row["differs"] else ""
        table.add_row(row["part"], _text(row["first"]), row["macs"][0], "", style=style)
        table.add_row("", _text(row["second"]), row["macs"][1], "≠" if row["differs"] else "", style=style)
    return table


def part_rows(first: Network, second: Network) -> list[dict[str, Any]]:
    """Return a row for each part of either network: the cells of both networks and the keys that differ."""
    rows: list[dict[str, Any]] = [
        {"part": "network", "first": root_values(first), "second": root_values(second), "macs": ("", "")}
    ]
    absent: tuple[dict[str, str], str] = ({}, "")
    stages = zip_longest(_parts(first)[1:-1], _parts(second)[1:-1], fillvalue=absent)
    for index, ((left, left_macs), (right, right_macs)) in enumerate(stages):
        rows.append({"part": f"stage{index + 1}", "first": left, "second": right, "macs": (left_macs, right_macs)})
    for name, place in (("stem", 0), ("head", -1)):
        (left, left_macs), (right, right_macs) = _parts(first)[place], _parts(second)[place]
        end = {"part": name, "first": left, "second": right, "macs": (left_macs, right_macs)}
        rows.insert(1 if name == "stem" else len(rows), end)
    for row in rows:
        one: dict[str, Any] = row["first"]
        other: dict[str, Any] = row["second"]
        both = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        row["differs"] = both if one and other else ["only in the first" if one else "only in the second"]
    return rows


def _parts(network: Network) -> list[tuple[dict[str, str], str]]:
    """Return the cells and the MACs of every part."""
    costs = (cost for _, cost in cost_by_part(network))
    return [(cells(part), f"{cost.macs:,}") for part, cost in zip(network.parts, costs, strict=True)]


def root_values(network: Network) -> dict[str, Any]:
    """Return the values of the whole network: resolution, classes, drop-connect rate and norm epsilon."""
    return {key: getattr(network, key) for key in ("resolution", "classes", "drop_connect", "norm_epsilon")}


def _text(cells: dict[str, Any]) -> str:
    """Return a row's cells as one phrase, such as ``mbconv6 k3 s2 24 x2 se0.25 relu``."""
    if not cells:
        return "-"
    if "classes" in cells:
        return f"{cells['resolution']} px, {cells['classes']} classes"
    op = cells["op"] + (cells["expand"] if cells.get("expand", "-") != "-" else "")
    pieces = [op, *(f"{letter}{cells[key]}" for key, letter in (("kernel", "k"), ("stride", "s")) if cells.get(key))]
    pieces += [cells.get("channels", ""), f"x{cells['layers']}" if cells.get("layers", "1") != "1" else ""]
    pieces += [f"se{cells['se']}" if cells.get("se", "-") != "-" else "", cells.get("se_form", "")]
    pieces += [cells["skip"] if cells.get("skip", "identity") != "identity" else "", cells.get("activation", "")]
    return " ".join(piece for piece in pieces if piece).replace(" none ", " noskip ")
