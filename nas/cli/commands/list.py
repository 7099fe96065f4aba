"""``nas spaces``, ``nas controllers`` and ``nas evaluators``: list the available names, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.guard import guarded

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@guarded
def spaces(json: Json = False) -> None:
    """List the search spaces with their numbers of architectures (genotypes) and distinct networks, and range of MACs.

    Examples:
      nas spaces --json
    """
    from nas.cli.display.output import make_console, plain_table, print_json, say, say_next, show_table
    from nas.core.units import format_quantity
    from nas.search_spaces.catalogue import installed_spaces, space_names

    rows = [_shipped(name) for name in space_names()]
    rows += [{"name": name, "from": point.value} for name, point in installed_spaces().items()]
    if json:
        print_json(rows)
        return
    numbers = ("genes", "architectures", "networks", "resolution", "MACs")
    table = plain_table("space", *numbers, right=numbers)
    for row in (row for row in rows if "genes" in row):
        macs = f"{format_quantity(row['min_macs'])} to {format_quantity(row['max_macs'])}"
        counts = f"{row['genes']}", _count(row["architectures"]), _count(row["networks"])
        table.add_row(row["name"], *counts, f"{row['resolution']} px", macs)
    console = make_console()
    show_table(console, table)
    for name, point in installed_spaces().items():
        say(console, f"{name}: from the installed package's {point.value}")
    say_next(console, "search", "--space", "efficientnet", "--target-flops", "400M")


def _shipped(name: str) -> dict[str, Any]:
    """Return the counts and the MACs range of a shipped space; several genotypes may give the same network."""
    from nas.evaluate.cost.table import CostTable
    from nas.search_spaces.catalogue import load_space
    from nas.search_spaces.count_networks import count_networks
    from nas.search_spaces.space import size
    from nas.search_spaces.stage_table import StageTableSpace

    space = load_space(name)
    assert isinstance(space, StageTableSpace)
    low, high = CostTable(space).macs_range()
    counts = {"genes": len(space.gene_sizes), "architectures": size(space), "networks": count_networks(space)}
    deployment = {"resolution": space.resolution, "classes": space.classes}
    return {"name": name, **counts, **deployment, "min_macs": low, "max_macs": high}


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**12 else f"{number:.2e}"


@guarded
def controllers(json: Json = False) -> None:
    """List the controllers with their options.

    Examples:
      nas controllers
    """
    from nas.cli.display.output import make_console, plain_table, print_json, say, say_next, show_table
    from nas.controllers.optuna_sampler import OptunaController, optuna_samplers
    from nas.controllers.registry import CONTROLLERS, find_controller, installed_controllers

    rows: list[dict[str, Any]] = [
        {"name": name, "summary": kind.summary, "options": dict(find_controller(name).options)}
        for name, kind in CONTROLLERS.items()
    ]
    rows += [{"name": name, "from": point.value} for name, point in installed_controllers().items()]
    rows.append({"name": OptunaController.name, "summary": OptunaController.summary, "samplers": [*optuna_samplers()]})
    if json:
        print_json(rows)
        return
    table = plain_table("controller", "what it does", wrap=("what it does",))
    for row in rows:
        table.add_row(str(row["name"]), str(row.get("summary", row.get("from"))))
    console = make_console()
    show_table(console, table)
    for row in rows:
        if options := ", ".join(f"{key}={_shown(value)}" for key, value in row.get("options", {}).items()):
            say(console, f"options of {row['name']}: {options}")
    say(
        console,
        "population, start, batch and initial are adapted to a run's number of trials: smaller for short runs, and "
        "evolution's population larger for long ones",
    )
    say(console, f"Optuna's samplers on this machine: {', '.join(rows[-1]['samplers'])}")
    say(console, "FILE.py:Class: your own, a subclass of nas.controllers.controller.Controller with propose(self)")
    say_next(console, "search", "--target-flops", "400M", "--controller", "predictor", "--trials", "60")


def _shown(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


@guarded
def evaluators(json: Json = False) -> None:
    """List the evaluators with their options.

    Examples:
      nas evaluators
    """
    from nas.cli.display.output import make_console, plain_table, print_json, say, say_next, show_table
    from nas.evaluate.kinds import EVALUATORS

    rows: list[dict[str, Any]] = [
        {"name": name, "summary": kind.summary, "instant": kind.is_instant, "options": _defaults(kind.settings)}
        for name, kind in EVALUATORS.items()
    ]
    if json:
        print_json(rows)
        return
    table = plain_table("evaluator", "what it does", wrap=("what it does",))
    for row in rows:
        table.add_row(str(row["name"]), str(row["summary"]))
    console = make_console()
    show_table(console, table)
    say(console, "FILE.py:Class: your own, a class with evaluate(self, architecture, network) -> dict")
    for row in rows:
        if row["options"]:
            shown = ", ".join(f"{key}={value}" for key, value in row["options"].items())
            say(console, f"options of {row['name']}: {shown}")
    say_next(console, "search", "--data", "digits", "--set", "evaluator.epochs=4")


def _defaults(settings: type[BaseModel] | None) -> dict[str, Any]:
    """Return a section's keys with their defaults; ``None`` for a required key."""
    if settings is None:
        return {}
    return {name: None if field.is_required() else field.default for name, field in settings.model_fields.items()}
