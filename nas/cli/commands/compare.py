"""``nas compare``: two stage tables side by side."""

from __future__ import annotations

from nas.cli.commands.show import Json, Thing
from nas.cli.guard import guarded

_WORDS = {
    "macs": "MACs",
    "params": "params",
    "peak_activation_bytes": "activation bytes",
    "weight_bytes": "weight bytes",
}


@guarded
def compare(first: Thing, second: Thing, json: Json = False) -> None:
    """Print two stage tables side by side, with their differences marked, and their costs.

    Of two run directories, the searches are put side by side too, with what keeps their accuracies from comparing.

    Examples:
      nas compare runs/NAME efficientnet_b0

      nas compare runs/ONE runs/OTHER
    """
    from pathlib import Path

    from nas.cli.display.output import describe_network, make_console, print_json, say, say_next, show_table, warn
    from nas.cli.display.run_table import pair_table
    from nas.cli.display.side_by_side import part_rows, root_values, side_by_side
    from nas.evaluate.cost.exact import network_cost
    from nas.scale.find_network import find_network
    from nas.search.overview import RunSummary, differences, is_run

    summaries = [RunSummary.read(Path(thing)) for thing in (first, second) if is_run(thing)]
    networks = find_network(first), find_network(second)
    rows = part_rows(*networks)
    costs = [network_cost(network).metrics() for network in networks]
    same = networks[0].signature() == networks[1].signature()
    if json:
        sides = [{"name": item.name, **root_values(item), **cost} for item, cost in zip(networks, costs, strict=True)]
        found = {"networks": sides, "same": same, "differences": [row for row in rows if row["differs"]]}
        if len(summaries) == 2:
            found |= {"runs": [one.row() for one in summaries], "not_comparable": differences(*summaries)}
        print_json(found)
        return
    console = make_console()
    if len(summaries) == 2:
        show_table(console, pair_table(*summaries))
        for reason in differences(*summaries):
            warn(console, f"their accuracies do not compare: {reason}")
    for network in networks:
        say(console, describe_network(network))
    show_table(console, side_by_side(*networks, console.width))
    for key, word in _WORDS.items():
        before, after = costs[0][key], costs[1][key]
        say(console, f"{word:<17}{before:>15,} {after:>15,}   {after / before - 1:+.1%}")
    if same:
        say(console, "Both build the same network.")
    say_next(console, "bench", first, second)
