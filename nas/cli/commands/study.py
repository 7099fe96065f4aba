"""``nas scale-study``: compare compound scaling with scaling one dimension, for a network and a set of images."""

from __future__ import annotations

import json as json_library
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import completion
from nas.cli.commands.show import Json
from nas.cli.config_options import given, run_config, with_config_options
from nas.cli.display.output import Quiet, show_table
from nas.cli.guard import INTERRUPTED, guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nas.search.config import RunConfig
    from nas.search_spaces.network import Network
    from nas.studies.paper_tables import PaperRow
    from nas.studies.scaling_study import Study, StudyMember

_SCALED, _TRAININGS = "How networks are scaled", "Trainings"


StudyCommand = with_config_options(run_config, dict.fromkeys(("data.source", "seed", "workers.count"), _TRAININGS))


@guarded
def scale_study(
    context: typer.Context,
    thing: Annotated[
        str | None,
        typer.Argument(
            help="A network; without one, the paper's Tables 3 and 7 are printed beside exact MACs.",
            autocompletion=completion.networks,
        ),
    ] = None,
    budgets: Annotated[str, typer.Option(help="Multiples of the network's MACs.", rich_help_panel=_SCALED)] = "2,4",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.", rich_help_panel=_TRAININGS)] = 3,
    alpha: Annotated[float, typer.Option(help="Compound: depth is alpha^phi.", rich_help_panel=_SCALED)] = 1.2,
    beta: Annotated[float, typer.Option(help="Compound: width is beta^phi.", rich_help_panel=_SCALED)] = 1.1,
    gamma: Annotated[float, typer.Option(help="Compound: resolution is gamma^phi.", rich_help_panel=_SCALED)] = 1.15,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the trainings (default: study/NAME).", rich_help_panel=_TRAININGS)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="evaluator.KEY=VALUE or data.KEY=VALUE; repeatable.", rich_help_panel=_TRAININGS),
    ] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Json = False,
) -> None:
    """Scale a network by depth, width, resolution and all three to equal exact MACs, and train all with equal settings.

    Without --data, only costs are shown. Running the same command again keeps the finished trainings and does the rest.

    Examples:
      nas scale-study

      nas scale-study efficientnet_b0 --data DIR --seeds 3 --workers 2 --set evaluator.epochs=10
    """
    from nas.cli.display.output import make_console, print_json
    from nas.core.errors import InputError
    from nas.scale.compound import Rule
    from nas.scale.find_network import find_network
    from nas.studies.paper_tables import paper_rows
    from nas.studies.scaling_study import make_members

    console, changes = make_console(), given(context)
    data = changes.get("data", {}).get("source")
    if thing is None:
        if data is not None:
            raise InputError("scale-study: expected a network to train, such as efficientnet_b0 or a run directory")
        rows = paper_rows()
        print_json([row.as_json() for row in rows]) if json else _print_paper(console, rows)
        return
    network = find_network(thing)
    members = make_members(network, _numbers(budgets), Rule(alpha, beta, gamma))
    if data is None and (out is not None or assignments):
        raise InputError("scale-study: --out and --set are for trainings; give --data")
    if data is None:
        _show_costs(console, members, paper_rows(network.name), json)
        return
    config = _config(network, members, changes, assignments or [])
    folder = out or Path("study") / network.name
    _train(console, config, members, seeds, folder, thing, json)


def _train(
    console: Console,
    config: RunConfig,
    members: Sequence[StudyMember],
    seeds: int,
    folder: Path,
    thing: str,
    json: bool,
) -> None:
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import print_json, say_files, say_next
    from nas.core.errors import InputError
    from nas.core.files import hold, write_whole
    from nas.evaluate.data.announce import announce_images
    from nas.evaluate.data.identity import DataIdentity, keep_identity
    from nas.evaluate.data.load import load_data
    from nas.evaluate.workers.jobs import open_pool
    from nas.search.assemble import proxy_recipe
    from nas.studies.scaling_study import JOURNAL, REPORT, draw_study, run_study, settings_digest

    callback = ConsoleCallback(console, quiet=json)
    with callback:
        images = load_data(config.data, callback.images_decoded)
        announce_images(images, config.data.source, callback)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: expected a folder, but '{folder}' is a file")
    if folder.exists() and any(folder.iterdir()) and not (folder / JOURNAL).exists():
        raise InputError(f"--out: '{folder}' holds something other than a study; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    lock = hold(folder / JOURNAL, "scale-study")
    identity = DataIdentity.of(images)
    way_on = "Put them back, or choose another --out for a new study"
    keep_identity(folder, identity, "scale-study", config.data.source, way_on)

    callback.message(f"Study    {len(members)} networks, {seeds} trainings each, kept in {folder}")
    recipe = proxy_recipe(config)
    of = settings_digest(config, members)
    try:
        with open_pool(recipe, lambda: images, config.workers, config.worker_count) as pool:
            study = run_study(members, seeds, config.seed, folder, of, pool, identity.digest, callback)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; finished trainings are in {folder}; run the same command to resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        os.close(lock)
    noise = study.noise
    report: dict[str, Any] = {
        "network": members[0].network.name,
        "noise": None if noise is None else noise.std,
        "smallest_difference": None if noise is None else noise.smallest_difference(seeds, seeds),
        "rows": study.rows(),
    }
    write_whole(folder / REPORT, json_library.dumps(report, indent=2) + "\n")
    for suffix in ("svg", "png"):
        draw_study(study, folder / f"study.{suffix}")
    if json:
        print_json(report)
        return
    console.print()
    _print_study(console, study, seeds)
    say_files(console, [folder / name for name in (JOURNAL, REPORT, "study.svg", "study.png")])
    say_next(console, "scale", thing, "--phi", "1,2", "--out", "family")


def _print_study(console: Console, study: Study, seeds: int) -> None:
    """Print the accuracies in the form of the paper's Table 7, with the noise from seed to seed."""
    from nas.cli.display.output import plain_table, say
    from nas.core.units import format_quantity

    numbers = ("depth", "width", "resolution", "MACs", "x MACs", "accuracy", "over baseline", "trainings")
    table = plain_table("scaled by", *numbers, right=numbers)
    rows = study.rows()
    first = rows[0]["accuracy"]
    for row in rows:
        name = row["dimension"] if row["budget"] == 1 else f"{row['dimension']} x{row['budget']:g}"
        cells = [f"{row['depth']:.3g}", f"{row['width']:.3g}", f"{row['resolution']} px", format_quantity(row["macs"])]
        mean = row["accuracy"]
        shown = ("failed", "") if mean is None else (f"{mean:.2%}", f"{100 * (mean - first):+.2f}" if first else "")
        table.add_row(name, *cells, f"{row['macs_ratio']:.2f}", *shown, str(len(row["accuracies"])))
    show_table(console, table)
    if (noise := study.noise) is not None:
        smallest = 100 * noise.smallest_difference(seeds, seeds)
        say(console, f"Noise    ± {100 * noise.std:.2f} points from seed to seed (standard deviation)")
        say(console, f"         differences below {smallest:.2f} points in means of {seeds} are not significant")


def _show_costs(console: Console, members: Sequence[StudyMember], rows: Sequence[PaperRow], json: bool) -> None:
    from nas.cli.display.output import plain_table, print_json, say
    from nas.core.units import format_quantity
    from nas.studies.scaling_study import Study

    study = Study(tuple(members), tuple(() for _ in members), None)
    if json:
        print_json({"members": study.rows(), "paper": [row.as_json() for row in rows]})
        return
    numbers = ("depth", "width", "resolution", "MACs", "x MACs")
    table = plain_table("scaled by", *numbers, right=numbers)
    for row in study.rows():
        name = row["dimension"] if row["budget"] == 1 else f"{row['dimension']} x{row['budget']:g}"
        cells = [f"{row['depth']:.3g}", f"{row['width']:.3g}", f"{row['resolution']} px", format_quantity(row["macs"])]
        table.add_row(name, *cells, f"{row['macs_ratio']:.2f}")
    show_table(console, table)
    if rows:
        console.print()
        _print_paper(console, rows)
    say(console, "To train these networks: --data DIR")


def _print_paper(console: Console, rows: Sequence[PaperRow]) -> None:
    """Print the paper's rows beside exact MACs."""
    from nas.cli.display.output import plain_table, say

    numbers = ("MACs, ours", "FLOPs, paper", "difference", "top-1, paper")
    table = plain_table("network", "scaled by", *numbers, "", right=numbers)
    for row in rows:
        ours, paper = f"{row.macs() / 1e9:.3f}B", f"{row.billions:g}B"
        table.add_row(row.network, row.label, ours, paper, f"{row.difference():+.1%}", f"{row.top1:.1f}%", row.note)
    say(console, "EfficientNet paper, Table 3 (for efficientnet_b0 with Table 7's accuracies):")
    show_table(console, table)


def _config(
    network: Network, members: Sequence[StudyMember], changes: dict[str, Any], assignments: list[str]
) -> RunConfig:
    from nas.search.config import load_config, with_absolute_paths
    from nas.studies.own_resolution import train_at_own_resolution

    config = load_config("proxy", changes, assignments)
    config = train_at_own_resolution(config, network, [member.network for member in members])
    return with_absolute_paths(config)


def _numbers(text: str) -> list[float]:
    from nas.core.errors import InputError

    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise InputError(f"--budgets: expected multiples such as 2,4, got '{text}'") from None
