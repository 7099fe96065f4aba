"""``nas show`` and ``nas profile``: a network's stage table and what it costs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli.guard import guarded

Thing = Annotated[
    str, typer.Argument(help="A run directory, a network's YAML file, or a reference name such as efficientnet_b0.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@guarded
def show(thing: Thing, json: Json = False) -> None:
    """Print a network's stage table."""
    from nas.cli.output import describe_network, make_console, print_json, say, stage_table
    from nas.search_spaces.network_yaml import network_to_dict
    from nas.things import load_thing

    network = load_thing(thing)
    if json:
        print_json(network_to_dict(network) | _costs(network))
        return
    console = make_console()
    say(console, describe_network(network))
    console.print(stage_table(network, console.width))


@guarded
def profile(
    thing: Thing,
    resolution: Annotated[
        int | None, typer.Option(help="Count at this resolution instead of the network's own.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Count with this many classes instead of the network's own.")
    ] = None,
    json: Json = False,
) -> None:
    """Count a network's MACs and params, in all and by stage."""
    from nas.cli.output import make_console, plain_table, print_json, say
    from nas.evaluate.cost import cost_by_part
    from nas.search_spaces.errors import InputError
    from nas.things import load_thing

    for name, value in (("resolution", resolution), ("classes", classes)):
        if value is not None and value < 1:
            raise InputError(f"--{name}: expected at least 1, got {value}")
    network = load_thing(thing).at(resolution=resolution, classes=classes)
    totals = _costs(network)
    if json:
        parts = [{"part": name, "macs": cost.macs, "params": cost.params} for name, cost in cost_by_part(network)]
        own = {"name": network.name, "resolution": network.resolution, "classes": network.classes}
        print_json(own | totals | {"parts": parts})
        return
    table = plain_table("part", "MACs", "share", "params", "share ", right=("MACs", "share", "params", "share "))
    for name, cost in cost_by_part(network):
        macs_share, params_share = cost.macs / totals["macs"], cost.params / totals["params"]
        table.add_row(name, f"{cost.macs:,}", f"{macs_share:.1%}", f"{cost.params:,}", f"{params_share:.1%}")
    console = make_console()
    say(
        console,
        f"{network.name} at {network.resolution} px with {network.classes} classes: {totals['macs']:,} MACs, "
        f"{totals['params']:,} params, {totals['weight_bytes'] / 1e6:.1f} MB of float32 weights",
    )
    console.print(table)


def _costs(network: Any) -> dict[str, int]:
    from nas.evaluate.cost import network_cost

    cost = network_cost(network)
    return {"macs": cost.macs, "params": cost.params, "weight_bytes": 4 * cost.params}
