"""``nas scale``: from a baseline to a family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.guard import guarded

if TYPE_CHECKING:
    from nas.scaler import Scaling
    from nas.search_spaces.network import Network


@guarded
def scale(
    thing: Annotated[str, typer.Argument(help="A run directory, a network's YAML file, or a reference name.")],
    official: Annotated[
        str | None, typer.Option(help="Members with the released EfficientNets' coefficients: b1,b2,b7 or b0..b7.")
    ] = None,
    phi: Annotated[str | None, typer.Option(help="Members by compound coefficient: 0.5,1,2.")] = None,
    width: Annotated[float | None, typer.Option(help="One member: factor on channels.")] = None,
    depth: Annotated[float | None, typer.Option(help="One member: factor on layers.")] = None,
    resolution: Annotated[int | None, typer.Option(help="One member: resolution in pixels.")] = None,
    alpha: Annotated[float, typer.Option(help="Depth is alpha^phi.")] = 1.2,
    beta: Annotated[float, typer.Option(help="Width is beta^phi.")] = 1.1,
    gamma: Annotated[float, typer.Option(help="Resolution is gamma^phi.")] = 1.15,
    out: Annotated[Path | None, typer.Option(help="Folder for one YAML file a member.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Expand a network into a family by compound scaling (depth, width and resolution together)."""
    from nas.cli.output import make_console, plain_table, print_json, say
    from nas.evaluate.cost import network_cost
    from nas.evaluate.quantity import format_quantity
    from nas.scaler import official_scalings, phi_scalings
    from nas.scaler import scale as scale_network
    from nas.search_spaces.errors import InputError
    from nas.things import load_thing

    network = load_thing(thing)
    scalings: list[Scaling] = []
    if official is not None:
        scalings += official_scalings(official, network.name, network.resolution)
    if phi is not None:
        scalings += phi_scalings(_numbers(phi), network.name, alpha, beta, gamma)
    if width is not None or depth is not None or resolution is not None:
        scalings.append(_by_hand(network.name, width, depth, resolution))
    if not scalings:
        raise InputError("scale: expected --official b1..b7, --phi 0.5,1,2, or any of --width, --depth, --resolution")
    names = [scaling.name for scaling in scalings]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"scale: two members would be named '{twice.pop()}'; ask for each once")
    members = [(scaling, scale_network(network, scaling)) for scaling in scalings]
    files = [] if out is None else _write(out, [member for _, member in members])
    rows = [_row(scaling, member) for scaling, member in members]
    if json:
        print_json(rows)
        return
    numbers = ("width", "depth", "resolution", "MACs", "params", "x MACs")
    table = plain_table("name", *numbers, right=numbers)
    base = network_cost(network).macs
    for row in rows:
        macs, params = int(row["macs"]), int(row["params"])
        sizes = f"{macs:,} ({format_quantity(macs)})", f"{params:,} ({format_quantity(params)})"
        shape = f"{row['width']:.3g}", f"{row['depth']:.3g}", f"{row['resolution']} px"
        table.add_row(str(row["name"]), *shape, *sizes, f"{macs / base:.2f}")
    console = make_console()
    console.print(table)
    for file in files:
        say(console, f"wrote {file}")


def _by_hand(base: str, width: float | None, depth: float | None, resolution: int | None) -> Scaling:
    from nas.scaler import Scaling

    return Scaling(f"{base}_scaled", 1.0 if width is None else width, 1.0 if depth is None else depth, resolution)


def _row(scaling: Scaling, member: Network) -> dict[str, str | int | float]:
    from nas.evaluate.cost import network_cost

    cost = network_cost(member)
    shape = {"width": scaling.width, "depth": scaling.depth, "resolution": member.resolution}
    return {"name": member.name, **shape, "macs": cost.macs, "params": cost.params}


def _numbers(text: str) -> list[float]:
    from nas.search_spaces.errors import InputError

    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise InputError(f"--phi: expected numbers separated by commas, such as 0.5,1,2, got '{text}'") from None


def _write(folder: Path, members: list[Network]) -> list[Path]:
    from nas.files import cannot_write, write_whole
    from nas.search_spaces.network_yaml import network_to_yaml

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    paths = [folder / f"{member.name}.yaml" for member in members]
    for path, member in zip(paths, members, strict=True):
        write_whole(path, network_to_yaml(member))
    return paths
