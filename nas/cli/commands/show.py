"""``nas show`` and ``nas profile``: a network's stage table and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import completion
from nas.cli.guard import guarded

if TYPE_CHECKING:
    from nas.search_spaces.network import Network

Thing = Annotated[
    str,
    typer.Argument(
        help="A run directory, a network's YAML file, or a reference name such as efficientnet_b0.",
        autocompletion=completion.networks,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@guarded
def show(
    thing: Thing,
    blocks: Annotated[
        bool, typer.Option("--blocks", help="Print the stages in Google's block notation, r3_k5_s22_e6_i24_o40_se0.25.")
    ] = False,
    json: Json = False,
) -> None:
    """Print a network's stage table.

    Examples:
      nas show efficientnet_b0

      nas show runs/NAME --json
    """
    from nas.cli.display.output import (
        describe_network,
        make_console,
        print_json,
        say,
        say_next,
        show_table,
        stage_table,
    )
    from nas.scale.find_network import find_network
    from nas.search_spaces.google_blocks import block_strings
    from nas.search_spaces.yaml_format import network_to_dict

    network = find_network(thing)
    if json:
        print_json(network_to_dict(network) | _costs(network) | ({"blocks": block_strings(network)} if blocks else {}))
        return
    console = make_console()
    if blocks:
        for line in block_strings(network):
            say(console, line)
        return
    say(console, describe_network(network))
    show_table(console, stage_table(network, console.width))
    say_next(console, "profile", thing)


@guarded
def profile(
    thing: Thing,
    resolution: Annotated[
        int | None, typer.Option(help="Count at this resolution instead of the network's own.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Count with this many classes instead of the network's own.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Count with torch's counter and with thop too, and explain differences.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="Predict the speed on a100, 3090, tpuv2, tpuv3, zcu102, vck190, or by a table's FILE.json."),
    ] = None,
    measure: Annotated[str | None, typer.Option(help="Measure the latency here: cpu or cuda.")] = None,
    backend: Annotated[str, typer.Option(help="Backend of --measure: eager or onnxruntime.")] = "eager",
    threads: Annotated[int, typer.Option(help="CPU threads while measuring.")] = 1,
    json: Json = False,
) -> None:
    """Count a network's MACs, params and memory, in total and by stage; predict or measure its speed.

    Examples:
      nas profile efficientnet_b0 --measure cpu

      nas profile runs/NAME --check
    """
    from nas.cli.display.output import make_console, plain_table, print_json, say, say_next, show_table
    from nas.core.errors import InputError
    from nas.evaluate.cost.exact import cost_by_part
    from nas.scale.find_network import find_network

    for name, value in (("resolution", resolution), ("classes", classes)):
        if value is not None and value < 1:
            raise InputError(f"--{name}: expected at least 1, got {value}")
    network = find_network(thing).at(resolution=resolution, classes=classes)
    totals = _costs(network)
    counts = _cross_check(network) if check else []
    predicted, note = _predicted(device, network) if device else ({}, "")
    measured = {} if measure is None else {"latency_ms": _measured(network, measure, backend, threads)}
    speed = {**{f"predicted_{name}": value for name, value in predicted.items()}, **measured}
    if json:
        parts = [
            {"part": name, **{key: getattr(cost, key) for key in ("macs", "params", "peak_activation_bytes")}}
            for name, cost in cost_by_part(network)
        ]
        own = {"name": network.name, "resolution": network.resolution, "classes": network.classes}
        print_json(own | totals | speed | {"parts": parts} | ({"check": counts} if check else {}))
        return
    numbers = ("MACs", "share", "params", "share ", "activations")
    table = plain_table("part", *numbers, right=numbers)
    for name, cost in cost_by_part(network):
        macs_share, params_share = cost.macs / totals["macs"], cost.params / totals["params"]
        activations = f"{cost.peak_activation_bytes / 1e6:.2f} MB"
        table.add_row(
            name, f"{cost.macs:,}", f"{macs_share:.1%}", f"{cost.params:,}", f"{params_share:.1%}", activations
        )
    console = make_console()
    say(
        console,
        f"{network.name} at {network.resolution} px with {network.classes} classes: {totals['macs']:,} MACs, "
        f"{totals['params']:,} params; float32: {totals['weight_bytes'] / 1e6:.1f} MB of weights, at most "
        f"{totals['peak_activation_bytes'] / 1e6:.1f} MB of activations for one image",
    )
    show_table(console, table)
    for name, figure in predicted.items():
        say(console, f"predicted {name}: {figure:,.4g} ({note})")
    if measured:
        say(console, f"measured latency_ms: {measured['latency_ms']:.4g} ({measure} by {backend}, {threads} threads)")
    for count in counts:
        say(console, f"{count['counter']}: {count['macs']:,} MACs, {count['params']:,} params; {count['note']}")
    say_next(console, "scale", thing, "--phi", "0.5,1,2")


def _predicted(device: str, network: Network) -> tuple[dict[str, float], str]:
    from nas.evaluate.devices import network_speed

    return network_speed(device, network)


def _measured(network: Network, device: str, backend: str, threads: int) -> float:
    """Measure one image's latency in ms."""
    from nas.evaluate.cost.latency.build import BuildSettings, measure_network

    return measure_network(network, BuildSettings(device, backend, threads))


def _cross_check(network: Network) -> list[dict[str, Any]]:
    """Return the MACs and params of a network by every counter.

    Raises:
        WorkError: if torch's counter disagrees with ours.
    """
    from dataclasses import asdict

    from nas.core.errors import WorkError
    from nas.evaluate.cost.cross_check import cross_check

    counts = cross_check(network)
    if not counts[1].explained:
        raise WorkError(f"the counters disagree, which is a fault of this program: {counts[0]} but {counts[1]}")
    return [asdict(count) for count in counts]


def _costs(network: Network) -> dict[str, int]:
    from nas.evaluate.cost.exact import network_cost

    return network_cost(network).metrics()
