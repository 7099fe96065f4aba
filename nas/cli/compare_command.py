"""``nas compare``: two stage tables side by side."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from nas.cli.guard import guarded
from nas.cli.show_commands import Json, Thing

if TYPE_CHECKING:
    from nas.search_spaces.network import Network

_WORDS = {
    "macs": "MACs",
    "params": "params",
    "peak_activation_bytes": "activation bytes",
    "weight_bytes": "weight bytes",
}


@guarded
def compare(first: Thing, second: Thing, json: Json = False) -> None:
    """Print two stage tables side by side, with their differences marked, and their costs."""
    from nas.cli.output import describe_network, make_console, plain_table, print_json, say
    from nas.evaluate.cost import network_cost
    from nas.things import load_thing

    networks = load_thing(first), load_thing(second)
    rows = _rows(*networks)
    costs = [network_cost(network).metrics() for network in networks]
    same = networks[0].signature() == networks[1].signature()
    if json:
        sides = [{"name": item.name, **_root(item), **cost} for item, cost in zip(networks, costs, strict=True)]
        print_json({"networks": sides, "same": same, "differences": [row for row in rows if row["differs"]]})
        return
    names = [network.name for network in networks]
    table = plain_table(
        "part",
        names[0],
        "MACs",
        names[1] + (" " if names[0] == names[1] else ""),
        "MACs ",
        "differs in",
        right=("MACs", "MACs "),
    )
    for row in rows:
        texts = (_text(row["first"]), row["macs"][0], _text(row["second"]), row["macs"][1])
        mark = "≠ " + ", ".join(row["differs"]) if row["differs"] else ""
        table.add_row(row["part"], *texts, mark, style="bold" if row["differs"] else "")
    console = make_console()
    for network in networks:
        say(console, describe_network(network))
    console.print(table)
    for key, word in _WORDS.items():
        before, after = costs[0][key], costs[1][key]
        say(console, f"{word:<17}{before:>15,} {after:>15,}   {after / before - 1:+.1%}")
    if same:
        say(console, "Both build the same network.")


def _rows(first: Network, second: Network) -> list[dict[str, Any]]:
    """Return a row for each part that either has: both sides' cells and which of them differ."""
    rows: list[dict[str, Any]] = [{"part": "network", "first": _root(first), "second": _root(second), "macs": ("", "")}]
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
    from nas.cli.output import cells
    from nas.evaluate.cost import cost_by_part

    costs = (cost for _, cost in cost_by_part(network))
    return [(cells(part), f"{cost.macs:,}") for part, cost in zip(network.parts, costs, strict=True)]


def _root(network: Network) -> dict[str, Any]:
    return {key: getattr(network, key) for key in ("resolution", "classes", "drop_connect", "norm_epsilon")}


def _text(cells: dict[str, Any]) -> str:
    """Write a row in one phrase: ``mbconv6 k3 s2 24 x2 se0.25 relu``."""
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
