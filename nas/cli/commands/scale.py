"""``nas scale``: from a baseline to a family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import completion
from nas.cli.config_options import given, given_options, run_config, with_config_options
from nas.cli.display.output import Quiet, show_table
from nas.cli.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from nas.scale.compound import Rule, Scaling
    from nas.scale.family import Member
    from nas.scale.to_budget import Ceiling
    from nas.search_spaces.network import Network

_MEMBERS, _BUDGETS, _FIT = "Members", "Members within a budget", "A grid search of alpha, beta, gamma"


ScaleCommand = with_config_options(
    run_config,
    dict.fromkeys(
        ("data.source", "workers.count", "trials", "seed", "scaling.step", "scaling.budget", "scaling.tolerance"), _FIT
    ),
    before_help="For --fit: ",
)


@guarded
def scale(
    context: typer.Context,
    thing: Annotated[
        str | None,
        typer.Argument(
            help="A run directory, a network's YAML file, or a reference name.",
            autocompletion=completion.networks,
        ),
    ] = None,
    official: Annotated[
        str | None,
        typer.Option(
            help="Members with the released EfficientNets' coefficients: b1,b2,b7 or b0..b7.", rich_help_panel=_MEMBERS
        ),
    ] = None,
    phi: Annotated[
        str | None,
        typer.Option(
            help="Members by compound coefficient: 0.5,1,2; negative: smaller networks.", rich_help_panel=_MEMBERS
        ),
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="One member: factor on channels.", rich_help_panel=_MEMBERS)
    ] = None,
    depth: Annotated[float | None, typer.Option(help="One member: factor on layers.", rich_help_panel=_MEMBERS)] = None,
    resolution: Annotated[
        int | None, typer.Option(help="One member: resolution in pixels.", rich_help_panel=_MEMBERS)
    ] = None,
    to_flops: Annotated[
        str | None,
        typer.Option(
            help="The largest member with at most these exact MACs: 1.8G, or a list.", rich_help_panel=_BUDGETS
        ),
    ] = None,
    to_latency: Annotated[
        str | None,
        typer.Option(
            help="The largest member within this latency on --device: 20ms, or a list.", rich_help_panel=_BUDGETS
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Limit on memory for weights and peak activations of one image; combines with the other budgets.",
            rich_help_panel=_BUDGETS,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="For --to-latency: cpu or cuda measures here; a FILE.json of nas latency build predicts.",
            rich_help_panel=_BUDGETS,
        ),
    ] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads while measuring.", rich_help_panel=_BUDGETS)] = 1,
    alpha: Annotated[float, typer.Option(help="Depth is alpha^phi.", rich_help_panel=_MEMBERS)] = 1.2,
    beta: Annotated[float, typer.Option(help="Width is beta^phi.", rich_help_panel=_MEMBERS)] = 1.1,
    gamma: Annotated[float, typer.Option(help="Resolution is gamma^phi.", rich_help_panel=_MEMBERS)] = 1.15,
    keep_stem_head: Annotated[
        bool,
        typer.Option(
            "--keep-stem-head",
            help="Do not scale stem and head, nor the layers of the first and last stage.",
            rich_help_panel=_MEMBERS,
        ),
    ] = False,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit", help="Search alpha, beta and gamma on a grid; trains each triple at phi = 1.", rich_help_panel=_FIT
        ),
    ] = False,
    resume: Annotated[Path | None, typer.Option(help="Resume a folder of --fit.", rich_help_panel=_FIT)] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="For --fit: key.path=value, as in nas search; repeatable.", rich_help_panel=_FIT),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for one YAML file per member, or for --fit.")] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Expand a network into a family by compound scaling (depth, width and resolution together).

    Examples:
      nas scale efficientnet_b0 --official b1..b7

      nas scale runs/NAME --phi -1,1,2 --out family

      nas scale runs/NAME --to-flops 1.8G --max-memory 60MB

      nas scale runs/NAME --fit --data DIR --workers 2 --set evaluator.epochs=5
    """
    from nas.cli.commands import fit_run
    from nas.core.errors import InputError
    from nas.scale.compound import Rule
    from nas.scale.find_network import find_network

    hand = {"width": width, "depth": depth, "resolution": resolution}
    budgets = {"to-flops": to_flops, "to-latency": to_latency}
    members = {"official": official, "phi": phi, **hand, **budgets}
    fitted = [option.name.removeprefix("--") for option in given_options(context)]
    if resume is not None:
        new = [name for name in fitted if name not in fit_run.RESUMABLE]
        others = {"network": thing, **members, **dict.fromkeys(new, True), "set": assignments}
        _only("with --resume", {**others, "max-memory": max_memory, "out": out})
        _as_json(json, lambda: fit_run.go_on(resume, given(context)))
        return
    if thing is None:
        raise InputError("scale: expected a network, such as efficientnet_b0 or a run directory")
    network = find_network(thing)
    if fit:
        bases = {"alpha": alpha != 1.2, "beta": beta != 1.1, "gamma": gamma != 1.15}
        _only("with --fit", members | {name: True for name, changed in bases.items() if changed})
        changes = fit_run.fit_changes(given(context), max_memory, keep_stem_head)
        _as_json(json, lambda: fit_run.fit(network, changes, assignments or [], out))
        return
    _only("without --fit", {**dict.fromkeys(fitted, True), "set": assignments})
    rule = Rule(alpha, beta, gamma, keep_stem_head)
    ceilings = _budgets(to_flops, to_latency, max_memory, device, threads)
    predictor = device if to_latency is not None and device not in ("cpu", "cuda") else None
    _family(network, rule, official, phi, hand, ceilings, predictor, out, json)


def _family(
    network: Network,
    rule: Rule,
    official: str | None,
    phi: str | None,
    hand: dict[str, Any],
    budgets: Sequence[Sequence[Ceiling]],
    predictor: str | None,
    out: Path | None,
    json: bool,
) -> None:
    """Make, write and print the requested members; ``predictor`` is the table that predicts latencies, if any."""
    from nas.cli.display.output import make_console, print_json, say, say_files, say_next
    from nas.core.errors import InputError
    from nas.evaluate.devices import network_speed
    from nas.scale.compound import official_scalings, phi_scaling
    from nas.scale.family import make_family, write_family
    from nas.scale.to_budget import scale_to_budget, why_below

    scalings: list[Scaling] = []
    if official is not None:
        scalings += official_scalings(official, network.name, network.resolution, rule.keep_stem_and_head)
    if phi is not None:
        scalings += [phi_scaling(value, network.name, rule) for value in _numbers(phi)]
    if any(value is not None for value in hand.values()):
        scalings.append(_by_hand(network.name, **hand, kept=rule.keep_stem_and_head))
    scalings += [scale_to_budget(network, ceilings, rule) for ceilings in budgets]
    if not scalings:
        raise InputError(
            "scale: expected --official b1..b7, --phi 0.5,1,2, any of --width, --depth, --resolution, a budget by "
            "--to-flops, --to-latency, --max-memory, or --fit"
        )
    members = make_family(network, scalings, rule)
    for place, ceilings in enumerate(budgets, start=len(members) - len(budgets)):
        latencies = {one.name: one.latest(members[place].network) for one in ceilings if one.name == "latency_ms"}
        members[place] = replace(members[place], measured=latencies)
    files = [] if out is None else write_family(out, members)
    if json:
        print_json([member.row() for member in members])
        return
    console = make_console()
    _print(console, members, budgets, rule)
    for ceilings, made in zip(budgets, members[len(members) - len(budgets) :], strict=True):
        if reason := why_below(network, made.scaling, ceilings, rule):
            say(console, reason)
    if predictor is not None:
        say(console, f"latency_ms is predicted: {network_speed(predictor, members[-1].network)[1]}")
    if files:
        say_files(console, files)
        say_next(console, "train", files[-1], "--data", "DIR")
    else:
        say(console, "To write them, one YAML file each: --out family")


def _only(what: str, others: dict[str, Any]) -> None:
    """Refuse flags that would be ignored.

    Raises:
        InputError: if there are any; the message names them.
    """
    from nas.core.errors import InputError

    given = [name for name, value in others.items() if value is not None]
    if given:
        names = ", ".join("a network" if name == "network" else f"--{name}" for name in given)
        raise InputError(f"scale: {names} cannot be used {what}")


def _as_json(json: bool, work: Callable[[], Path]) -> None:
    """Run a grid search; with ``--json``, print only its report on standard output."""
    import sys
    from contextlib import nullcontext, redirect_stdout

    with redirect_stdout(sys.stderr) if json else nullcontext():
        report = work()
    if json:
        typer.echo(report.read_text(encoding="utf-8").rstrip())


def _print(console: Console, members: Sequence[Member], budgets: Sequence[Sequence[Ceiling]], rule: Rule) -> None:
    from nas.cli.display.output import plain_table, say
    from nas.core.units import format_quantity
    from nas.scale.family import rule_text

    numbers = ("width", "depth", "resolution", "MACs", "params", "x MACs", "nominal x", "of the budget")
    latency = ("latency_ms",) if any("latency_ms" in member.measured for member in members) else ()
    shown = (*numbers[:-1], *latency, *(numbers[-1:] if budgets else ()))
    table = plain_table("name", *shown, right=shown)
    first = len(members) - len(budgets)
    for place, member in enumerate(members):
        row = member.row()
        cells = [f"{row['width']:.3g}", f"{row['depth']:.3g}", f"{row['resolution']} px"]
        cells += [f"{row[key]:,} ({format_quantity(row[key])})" for key in ("macs", "params")]
        cells += [f"{member.macs_ratio:.2f}", "" if member.nominal_ratio is None else f"{member.nominal_ratio:.2f}"]
        cells += [f"{member.measured[name]:.3g}" if name in member.measured else "" for name in latency]
        if budgets:
            own = budgets[place - first] if place >= first else ()
            figures = {**row, **member.measured}
            cells.append(", ".join(f"{figures[one.name] / one.limit:.1%} of {one.text}" for one in own))
        table.add_row(row["name"], *cells)
    show_table(console, table)
    if any(member.scaling.phi is not None for member in members):
        say(console, f"By phi: {rule_text(rule)}")
        say(console, "nominal x: growth of the MACs by the rule; x MACs: exact growth of the MACs")
    if budgets:
        say(console, "Members of a budget deviate slightly from the rule's width and resolution to use the budget")


def _by_hand(base: str, width: float | None, depth: float | None, resolution: int | None, *, kept: bool) -> Scaling:
    from nas.scale.compound import Scaling

    width, depth = 1.0 if width is None else width, 1.0 if depth is None else depth
    return Scaling(f"{base}_scaled", width, depth, resolution, keep_stem_and_head=kept)


def _budgets(
    to_flops: str | None, to_latency: str | None, max_memory: str | None, device: str, threads: int
) -> list[list[Ceiling]]:
    """Return one list of ceilings for each member: every combination of the given budgets."""
    from nas.core.units import parse_bytes, parse_count, parse_milliseconds
    from nas.scale.to_budget import Ceiling, macs_ceiling, memory_ceiling

    def items(text: str | None) -> list[str]:
        return [] if text is None else [item.strip() for item in text.split(",")]

    memory = [memory_ceiling(parse_bytes(text, "--max-memory"), text) for text in items(max_memory)]
    flops = [macs_ceiling(parse_count(text, "--to-flops"), text) for text in items(to_flops)]
    latency: list[Ceiling] = []
    if to_latency is not None:
        cost, exact = _latency(device, threads)
        latency = [
            Ceiling("latency_ms", parse_milliseconds(text, "--to-latency"), text, cost, exact)
            for text in items(to_latency)
        ]
    groups = [[*flops_one, *latency_one] for flops_one in _each(flops) for latency_one in _each(latency)]
    return [joined for group in groups for one in _each(memory) if (joined := [*group, *one])]


def _each(ceilings: list[Ceiling]) -> list[list[Ceiling]]:
    return [[ceiling] for ceiling in ceilings] or [[]]


def _latency(device: str, threads: int) -> tuple[Callable[[Network], float], bool]:
    """Return a function that gives a network's latency in ms, and whether repeated calls return the same value."""
    if device in ("cpu", "cuda"):
        from nas.evaluate.cost.latency.build import BuildSettings, measure_network

        settings = BuildSettings(device, threads=threads)
        return lambda network: measure_network(network, settings), False
    from nas.core.errors import InputError
    from nas.evaluate.devices import network_speed

    def predicted(network: Network) -> float:
        speed = network_speed(device, network)[0]
        if "latency_ms" not in speed:
            raise InputError(f"--device {device}: predicts {', '.join(speed)}, but no latency")
        return speed["latency_ms"]

    return predicted, True


def _numbers(text: str) -> list[float]:
    from nas.core.errors import InputError

    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise InputError(f"--phi: expected numbers separated by commas, such as 0.5,1,2, got '{text}'") from None
