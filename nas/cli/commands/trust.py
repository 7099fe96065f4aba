"""``nas trust``: measure whether the proxy ranks networks as longer training does, and the noise of seeds."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands.list import Json
from nas.cli.config_options import given, given_options, run_config, with_config_options
from nas.cli.display.output import Quiet
from nas.cli.guard import INTERRUPTED, guarded

if TYPE_CHECKING:
    from rich.console import Console

    from nas.search.config import RunConfig
    from nas.studies.proxy_ranking import Plan, Trust

_FEW_NETWORKS = 8
_TRAININGS, _SPACE = "Trainings", "For a space"


TrustCommand = with_config_options(
    run_config, {"data.source": _SPACE, "objective.target_flops": _SPACE, "workers.count": None}
)


@guarded
def trust(
    context: typer.Context,
    what: Annotated[
        str | None, typer.Argument(help="A run directory, or a space: its name, FILE.yaml or FILE.py:Class.")
    ] = None,
    supernet: Annotated[
        Path | None,
        typer.Option(help="Folder of nas supernet train: measure its ranking too, beside the proxy's."),
    ] = None,
    networks: Annotated[int, typer.Option(min=3, help="Number of networks to train.", rich_help_panel=_TRAININGS)] = 16,
    seeds: Annotated[int, typer.Option(min=1, help="Proxy trainings of each network.", rich_help_panel=_TRAININGS)] = 2,
    longer: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of the longer training (default: 5 times the proxy's).", rich_help_panel=_TRAININGS
        ),
    ] = None,
    longer_seeds: Annotated[
        int, typer.Option(min=1, help="Longer trainings of each network.", rich_help_panel=_TRAININGS)
    ] = 2,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the trainings (default: the run's, or trust/SPACE).")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="For a space: key.path=value of the configuration; repeatable.", rich_help_panel=_SPACE
        ),
    ] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Json = False,
) -> None:
    """Measure how far the proxy can be trusted: Kendall's tau with longer training, and the noise of seeds.

    Running the same command again keeps the finished trainings and does the rest.

    Examples:
      nas trust runs/NAME

      nas trust small-images --data DIR --networks 24 --set evaluator.epochs=5

      nas trust --supernet supernets/mine
    """
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import make_console, print_json, say_files, say_next
    from nas.core.files import expanded, write_whole
    from nas.core.user_code import trusted_run
    from nas.evaluate.data.identity import DataIdentity, keep_identity
    from nas.report.page import draw_report
    from nas.search.assemble import prepare
    from nas.search.inputs import resolve_inputs
    from nas.search.run_directory import check_run_images, read_identity
    from nas.search.session import read_images, search_pool
    from nas.studies.proxy_ranking import REPORT, Plan, draw_networks, measure_trust, plan_from_run

    what, known = _asked(what, supernet)
    run = expanded(what)
    is_run = (run / "trials.jsonl").is_file() and supernet is None
    config = (
        _run_config(run, context, assignments or [])
        if is_run
        else _space_config({**known, "space": what}, context, assignments or [])
    )
    if is_run:
        resolved = resolve_inputs(run, config, way_on="")
        config = resolved.config
    setup = prepare(config, resumed=is_run)
    epochs = config.full_epochs
    assert epochs is not None  # a proxy always has a number of epochs
    plan = Plan(draw_networks(setup, networks), epochs, longer or 5 * epochs, seeds, longer_seeds)
    if is_run:
        plan = plan_from_run(setup, plan, _ranked(run))
    folder = out or (run if is_run else Path("trust") / setup.space.name)
    folder.mkdir(parents=True, exist_ok=True)
    console = make_console()
    if not json:
        _announce(console, plan, folder)
    callback = ConsoleCallback(console, quiet=json)
    identities: list[DataIdentity] = []

    def check(now: DataIdentity) -> None:
        identities.append(now)
        if is_run:
            check_run_images(run, config, read_identity(run), now)
        else:
            way_on = "Put them back, or choose another --out"
            keep_identity(folder, now, "trust", config.data.source, way_on)

    with callback:
        images = read_images(setup, callback, check)
    try:
        with search_pool(setup, images, callback) as pool:
            found = measure_trust(setup, plan, folder, pool, identities[0].digest, callback)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; finished trainings are in {folder}; run the same command to resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    report = {"epochs": epochs, "longer_epochs": plan.longer_epochs, **found.as_json()}
    inherited = None
    if supernet is not None:
        inherited = _inherited(supernet, setup, plan, folder, images, identities[0].digest, callback)
        report["supernet"] = inherited.as_json()
    text = json_library.dumps(report, indent=2) + "\n"
    write_whole(folder / REPORT, text)
    if supernet is not None:
        from nas.evaluate.supernet.file import supernet_file

        write_whole(supernet_file(str(supernet)).parent / REPORT, text)  # for the pages of searches with it
    if json:
        print_json(report)
        return
    _print_trust(console, found, plan)
    if inherited is not None:
        _print_inherited(console, inherited, str(supernet))
    files = [folder / "trust.jsonl", folder / REPORT]
    if is_run and (run / "report.html").exists():
        with trusted_run():  # its code has been run to train its networks
            files += draw_report(run, callback)
    say_files(console, files, 16)
    if is_run:
        say_next(console, "report", run, column=16)
    else:
        say_next(console, "search", "--space", what, "--data", setup.config.data.source, column=16)


def _print_trust(console: Console, found: Trust, plan: Plan) -> None:
    """Print the findings, with advice on how to use them."""
    from nas.cli.display.output import say

    console.print()
    say(console, f"Networks        {found.networks}")
    proxy = f"mean accuracy {found.accuracy:.2%}, {found.seconds:.1f} s each"
    say(console, f"Proxy           {plan.epochs} epochs: {proxy}")
    longer = f"mean accuracy {found.longer_accuracy:.2%}, {found.longer_seconds:.1f} s each"
    say(console, f"Longer          {plan.longer_epochs} epochs: {longer}")
    if not found.differ:
        say(
            console,
            "No ranking      All networks reached the same accuracy with one of the schedules, so there is no ranking.",
        )
        say(console, "                Train longer (evaluator.epochs), or on more images (data.fraction)")
        return
    interval = f"95% interval {found.tau_low:.2f} to {found.tau_high:.2f}"
    say(console, f"Kendall's tau   {found.tau:.2f} between one proxy training and the longer ones, {interval}")
    if found.tau_between_seeds is not None:
        say(console, f"                {found.tau_of_means:.2f} with the mean of {plan.seeds} proxy trainings")
        say(console, f"                {found.tau_between_seeds:.2f} between two proxy trainings of the same networks")
    if found.tau_longer_seeds is not None:
        limit = ": no proxy can exceed this" if found.tau_longer_seeds > found.tau else ""
        say(console, f"                {found.tau_longer_seeds:.2f} between two longer trainings{limit}")
    if found.networks < _FEW_NETWORKS:
        say(console, f"                of {found.networks} networks: too few for a ranking (--networks 16)")
    say(console, f"Best third      the proxy's best third has {found.best_kept:.0%} of the longer training's")
    if found.std is not None and found.smallest_difference is not None:
        say(console, f"Seed noise      ± {100 * found.std:.2f} points (standard deviation of a proxy accuracy)")
        smallest = 100 * found.smallest_difference
        say(console, f"Not significant differences of two proxy accuracies below {smallest:.2f} points")


def _announce(console: Console, plan: Plan, folder: Path) -> None:
    from nas.cli.display.output import say

    trainings = len(plan.networks) * (plan.seeds + plan.longer_seeds)
    say(
        console,
        f"Trust    {len(plan.networks)} networks: {plan.seeds} x {plan.epochs} and {plan.longer_seeds} x "
        f"{plan.longer_epochs} epochs each, {trainings} trainings, kept in {folder}",
    )


def _asked(what: str | None, supernet: Path | None) -> tuple[str, dict[str, Any]]:
    """Return the run or the space, and the changes to its configuration that follow from a supernet.

    Raises:
        InputError: if neither or both are given.
    """
    from nas.core.errors import InputError
    from nas.studies.supernet_ranking import proxy_changes

    if (what is None) == (supernet is None):
        raise InputError("trust: expected a run directory, a space, or --supernet FOLDER alone")
    if supernet is None:
        return str(what), {}
    changes = proxy_changes(str(supernet))
    return changes["space"], changes


def _inherited(supernet: Path, setup: Any, plan: Plan, folder: Path, images: Any, digest: str, callback: Any) -> Trust:
    """Compare the ranking by a supernet's weights with that of the longer trainings, which are done."""
    from nas.search.assemble import prepare
    from nas.search.config import load_config, with_absolute_paths
    from nas.search.session import search_pool
    from nas.studies.proxy_ranking import longer_rows
    from nas.studies.supernet_ranking import measure_inherited

    workers = setup.config.workers.model_dump()
    config = load_config(None, {"evaluator": {"supernet": str(supernet)}, "workers": workers}, [])
    shared = prepare(with_absolute_paths(config))
    with search_pool(setup, images, callback) as pool:
        longer = longer_rows(setup, plan, folder, pool, digest)
    with search_pool(shared, images, callback) as pool:
        return measure_inherited(shared, plan.networks, longer, folder, pool, digest, callback)


def _print_inherited(console: Console, found: Trust, supernet: str) -> None:
    from nas.cli.display.output import say
    from nas.core.units import format_duration
    from nas.studies.supernet_ranking import training_seconds

    seconds = training_seconds(supernet)
    once = "" if seconds is None else f" after {format_duration(seconds)} of training for all"
    say(console, f"Supernet        mean accuracy {found.accuracy:.2%}, {found.seconds:.1f} s each{once}")
    interval = f"95% interval {found.tau_low:.2f} to {found.tau_high:.2f}"
    say(console, f"                Kendall's tau {found.tau:.2f} with the longer trainings, {interval}")
    say(console, f"                its best third has {found.best_kept:.0%} of the longer training's")


def _space_config(changes: dict[str, Any], context: typer.Context, assignments: list[str]) -> RunConfig:
    from nas.core.changes import laid_over
    from nas.search.config import load_config, with_absolute_paths

    return with_absolute_paths(load_config("proxy", laid_over(changes, given(context)), assignments))


def _run_config(run: Path, context: typer.Context, assignments: list[str]) -> RunConfig:
    """Return a run's configuration, in which only the ``workers`` section may be changed.

    Raises:
        InputError: if another option is given, or the run trained no proxies.
    """
    from nas.core.errors import InputError
    from nas.core.section import validated
    from nas.evaluate.workers.settings import WorkerSettings
    from nas.search.run_directory import read_config

    fixed = [option.name for option in given_options(context) if option.path[0] != "workers"]
    if fixed or assignments:
        raise InputError(
            f"trust: a run keeps its configuration; leave out {', '.join([*fixed, *assignments])}, or name its "
            "space instead of the run"
        )
    config = read_config(run)
    if config.proxy is None:
        raise InputError(f"trust: the run '{run}' trained no proxies; its evaluator is '{config.evaluator['name']}'")
    changed = config.workers.model_dump() | given(context).get("workers", {})
    workers = validated(WorkerSettings, changed, "the command line", "workers.")
    return config.model_copy(update={"workers": workers})


def _ranked(run: Path) -> list[Any]:
    from nas.search.run_directory import read_trials

    finished = [trial for trial in read_trials(run) if trial.reward is not None]
    return [trial.architecture for trial in sorted(finished, key=lambda trial: -(trial.reward or 0))]
