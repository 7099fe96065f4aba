"""``nas check``: check a search space or a controller against its contract, and count what a space contains."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.guard import guarded

if TYPE_CHECKING:
    from rich.console import Console

    from nas.evaluate.cost.space_statistics import Survey
    from nas.testing.spaces import Probe


@guarded
def check(
    thing: Annotated[
        str,
        typer.Argument(help="A space (a name, FILE.yaml, FILE.py:Class) or a controller (a name, FILE.py:Class)."),
    ],
    targets: Annotated[
        str, typer.Option(help="Targets in MACs, such as 40M,400M; shows the share of the space within 10% of each.")
    ] = "",
    samples: Annotated[int, typer.Option(help="Random genotypes, in addition to the corners and every option.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the random genotypes.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Check a search space: sample, decode and build networks, train one step, and compare counted costs.

    For a controller it checks the band, repeated proposals, seeds, state, failures, small spaces and parallel trials.
    Exits with 2 at the first violation and names the genotype, or the moment in the search, that shows it.

    Examples:
      nas check mine.yaml --targets 40M,400M

      nas check mine.py:Space --json

      nas check mine.py:Controller
    """
    from nas.cli.display.output import make_console, print_json, say, say_next
    from nas.controllers.registry import CONTROLLERS, is_controller
    from nas.core.errors import InputError, nearest_name
    from nas.core.units import parse_count
    from nas.evaluate.cost.space_statistics import survey
    from nas.search_spaces.catalogue import installed_spaces, load_space, space_names
    from nas.testing.spaces import run_space_checks, take_samples

    wanted = [parse_count(target, "--targets") for target in targets.split(",") if target]
    for name, value in (("samples", samples), ("seed", seed)):
        if value < 0:
            raise InputError(f"--{name}: expected 0 or more, got {value}")
    console = make_console()
    names = [*space_names(), *installed_spaces(), *CONTROLLERS, "optuna:TPESampler"]
    if re.fullmatch(r"[\w-]+", thing) and thing not in names and not is_controller(thing):
        raise InputError(f"check: no space and no controller is named '{thing}'{nearest_name(thing, names)}")
    if is_controller(thing):
        _check_controller(thing, console, json)
        return
    passed: list[str] = []
    elsewhere = redirect_stdout(sys.stderr) if json else nullcontext()  # for output printed by the space's own code
    try:
        with elsewhere:
            probe = take_samples(load_space(thing), samples, seed)
            for name in run_space_checks(probe):
                passed.append(name)
                if not json:
                    say(console, f"ok    {name}")
            found = survey(probe.space, probe.samples, wanted)
    except InputError as error:
        if json:
            print_json({"space": thing, "ok": False, "passed": passed, "violation": str(error)})
        raise
    if json:
        print_json(_document(probe, found, passed))
        return
    _print(probe, found, console)
    reached = [text for text, share in zip(targets.split(","), found.shares, strict=False) if share.share]
    target = ["--target-flops", reached[0]] if reached else []
    say_next(console, "search", "--space", thing, *target)


def _check_controller(name: str, console: Console, json: bool) -> None:
    """Run the contract suite on a controller."""
    from nas.cli.display.output import print_json, say, say_next
    from nas.core.errors import InputError
    from nas.testing.controllers import remarks, run_controller_checks
    from nas.testing.toy_tasks import ControllerSpec

    passed: list[str] = []
    elsewhere = redirect_stdout(sys.stderr) if json else nullcontext()
    try:
        with elsewhere:
            for check_name in run_controller_checks(spec := ControllerSpec(name)):
                passed.append(check_name)
                if not json:
                    say(console, f"ok    {check_name}")
            notes = remarks(spec)
    except InputError as error:
        if json:
            print_json({"controller": name, "ok": False, "passed": passed, "violation": str(error)})
        raise
    if json:
        print_json({"controller": name, "ok": True, "passed": passed, "notes": notes})
    else:
        for note in notes:
            say(console, f"note  {note}", style="yellow")
        say(console, f"{name} keeps the contract: {len(passed)} checks passed")
        say_next(console, "search", "--target-flops", "400M", "--controller", name)


def _print(probe: Probe, found: Survey, console: Console) -> None:
    from nas.cli.display.output import say

    say(console, f"{len(probe.samples)} genotypes checked, {len(probe.unusable)} without a valid network; no violation")
    for note in probe.notes:
        say(console, f"note  {note}", style="yellow")
    networks = f", {found.networks:,} distinct networks" if found.networks is not None else ""
    say(console, f"{'size':<22}{found.architectures:,} architectures{networks}")
    of = "" if found.counted is None else f" (of {found.counted} samples)"
    for name, (low, high) in found.ranges.items():
        say(console, f"{name:<22}{low:,} to {high:,}{of}")
    for share in found.shares:
        text = f"{share.share:.3g} of the space within 10%" if share.share else share.hint
        say(console, f"target {share.target:,.0f}: {text}", style="" if share.share else "yellow")


def _document(probe: Probe, found: Survey, passed: list[str]) -> dict[str, Any]:
    return {
        "space": probe.space.name,
        "ok": True,
        "passed": passed,
        "checked": len(probe.samples),
        "unusable": len(probe.unusable),
        "notes": probe.notes,
        **asdict(found),
    }
