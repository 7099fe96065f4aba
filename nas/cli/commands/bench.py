"""``nas bench``: compare the latency of networks on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.commands.show import Json
from nas.cli.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nas.search_spaces.network import Network
    from nas.studies.latency_bench import Latencies


@guarded
def bench(
    things: Annotated[list[str], typer.Argument(help="Run directories, networks' YAML files or reference names.")],
    backends: Annotated[
        str, typer.Option(help="Comma-separated: eager, channels_last, compiled, onnxruntime.")
    ] = "eager,channels_last,compiled,onnxruntime",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Batch size in images.")] = 1,
    rounds: Annotated[int, typer.Option(min=3, help="Rounds through all networks; the median is reported.")] = 15,
    resolution: Annotated[
        int | None, typer.Option(min=1, help="Resolution of all networks in pixels (default: each network's own).")
    ] = None,
    json: Json = False,
) -> None:
    """Measure the latency of networks with every backend, in interleaved rounds; ratios are to the last network.

    Examples:
      nas bench resnet152 efficientnet_b1
    """
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import make_console, print_json, say, say_next
    from nas.core.errors import InputError, WorkError
    from nas.scale.find_network import find_network, told_apart
    from nas.studies.latency_bench import as_rows
    from nas.studies.latency_bench import bench as measure

    if device not in ("cpu", "cuda"):
        raise InputError(f"--device: expected cpu or cuda, got '{device}'")
    networks = told_apart([find_network(thing).at(resolution=resolution) for thing in things], things)
    console = make_console()
    names = [name.strip() for name in backends.split(",")]
    results = measure(networks, names, device, threads, batch, rounds, ConsoleCallback(console, quiet=json))
    if all(found.error for found in results):
        reasons = "; ".join(f"{found.backend}: {found.error}" for found in results)
        raise WorkError(f"nothing could be measured: {reasons}")
    if json:
        print_json(as_rows(networks, results))
        return
    say(console, f"Medians of {rounds} interleaved rounds on {device}, {threads} threads, batch {batch}:")
    _print(console, networks, results)
    say_next(console, "export", things[-1], "onnx")


def _print(console: Console, networks: Sequence[Network], results: Sequence[Latencies]) -> None:
    from nas.cli.display.output import plain_table, say, show_table
    from nas.core.units import format_quantity
    from nas.evaluate.cost.exact import network_cost
    from nas.studies.paper_tables import paper_pair

    numbers = ("resolution", "MACs", "latency ms", f"x {networks[-1].name}")
    table = plain_table("backend", "network", *numbers, right=numbers)
    for found in results:
        for network, latency_ms, ratio in zip(networks, found.latency_ms, found.ratios(), strict=False):
            macs = format_quantity(network_cost(network).macs)
            cells = network.name, f"{network.resolution} px", macs, f"{latency_ms:.2f}", f"{ratio:.2f}"
            table.add_row(found.backend, *cells)
    show_table(console, table)
    for found in results:
        if found.error:
            say(console, f"{found.backend}: not measured: {found.error}", style="yellow")
    if pair := paper_pair([network.name for network in networks]):
        say(
            console,
            f"The paper's Table 4 (one core of a Xeon E5-2690): {pair.large} {pair.large_s:g} s, {pair.small} "
            f"{pair.small_s:g} s, {pair.ratio:.1f}x",
        )
