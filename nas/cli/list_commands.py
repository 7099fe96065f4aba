"""``nas spaces`` and ``nas controllers``: what can be named, one line each."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli.guard import guarded

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@guarded
def spaces(json: Json = False) -> None:
    """List the shipped search spaces with their size and the range of their MACs."""
    from nas.cli.output import make_console, plain_table, print_json
    from nas.evaluate.cost_table import CostTable
    from nas.evaluate.quantity import format_quantity
    from nas.search_spaces.catalogue import load_space, space_names
    from nas.search_spaces.space import size
    from nas.search_spaces.stage_table_space import StageTableSpace

    rows: list[dict[str, Any]] = []
    for name in space_names():
        space = load_space(name)
        assert isinstance(space, StageTableSpace)
        low, high = CostTable(space).macs_range()
        row: dict[str, Any] = {
            "name": name,
            "genes": len(space.gene_sizes),
            "architectures": size(space),
            "resolution": space.resolution,
        }
        rows.append(row | {"classes": space.classes, "min_macs": low, "max_macs": high})
    if json:
        print_json(rows)
        return
    numbers = ("genes", "architectures", "resolution", "MACs")
    table = plain_table("space", *numbers, right=numbers)
    for row in rows:
        macs = f"{format_quantity(row['min_macs'])} to {format_quantity(row['max_macs'])}"
        table.add_row(str(row["name"]), str(row["genes"]), f"{row['architectures']:,}", f"{row['resolution']} px", macs)
    make_console().print(table)


@guarded
def controllers(json: Json = False) -> None:
    """List the controllers with their options."""
    from nas.cli.output import make_console, plain_table, print_json
    from nas.controllers.registry import CONTROLLERS, controller_options

    rows: list[dict[str, Any]] = [
        {"name": name, "summary": kind.summary, "options": controller_options(name)}
        for name, kind in CONTROLLERS.items()
    ]
    if json:
        print_json(rows)
        return
    table = plain_table("controller", "what it does", "options")
    for row in rows:
        options = ", ".join(f"{key}={value}" for key, value in row["options"].items())
        table.add_row(str(row["name"]), str(row["summary"]), options or "-")
    make_console().print(table)
