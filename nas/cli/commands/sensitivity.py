"""``nas sensitivity``: what every single change of a network would do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nas.cli.commands.show import Json, Thing
from nas.cli.guard import guarded


@guarded
def sensitivity(
    thing: Thing,
    device: Annotated[
        str | None, typer.Option(help="Also predict the speed on this device: a name or a latency table's FILE.json.")
    ] = None,
    json: Json = False,
) -> None:
    """List the networks one choice away, with predicted changes of accuracy and latency, and exact changes of cost.

    It works for networks on EfficientNet-B0's skeleton. The accuracy is the predicted ImageNet top-1 after 16 epochs.

    Examples:
      nas sensitivity efficientnet_b0 --device vck190
    """
    from nas.cli.display.output import make_console, plain_table, print_json, say_next, show_table
    from nas.evaluate.devices import device_changes
    from nas.evaluate.imagenet.neighbours import neighbours
    from nas.evaluate.imagenet.skeleton import genes_of, skeleton
    from nas.scale.find_network import find_network

    genes = genes_of(find_network(thing))
    found = neighbours(genes)
    own = {} if device is None else device_changes(device, skeleton(), genes, [item.genes for item in found])
    rows = [
        {**asdict(item), **{f"{metric}_change": values[index] for metric, values in own.items()}}
        for index, item in enumerate(found)
    ]
    if json:
        print_json(rows)
        return
    speeds = [f"{metric}_change" for metric in own] or ["zcu102 ms", "vck190 ms"]
    numbers = ("points", "MACs", "params", *speeds)
    table = plain_table("edit", *numbers, "", right=numbers)
    for item, row in zip(found, rows, strict=True):
        values = [row[name] for name in speeds] if own else list(item.latency_change_ms.values())
        sizes = f"{item.macs_change:+,}", f"{item.params_change:+,}"
        far = "extrapolated" if item.extrapolated else ""
        table.add_row(item.edit, f"{100 * item.accuracy_change:+.2f}", *sizes, *(f"{v:+.3f}" for v in values), far)
    console = make_console()
    show_table(console, table)
    say_next(console, "compare", thing, "efficientnet_b0")
