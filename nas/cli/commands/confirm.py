"""``nas confirm``: train two networks with the same settings, several times each."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli.commands.show import Json, Thing
from nas.cli.display.output import Quiet
from nas.cli.guard import guarded

_PLAIN_SETTINGS = 3  # source, resolution and fraction; more are inherited from a run


@guarded
def confirm(
    thing: Thing,
    data: Annotated[
        str | None, typer.Option(help="digits, or a folder or zip of images (default: the images of the run).")
    ] = None,
    against: Annotated[
        str, typer.Option(help="The other network, given in the same way as THING.")
    ] = "efficientnet_b0",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 10,
    resolution: Annotated[int, typer.Option(min=1, help="Side of the images in pixels.")] = 32,
    fraction: Annotated[float, typer.Option(help="Share of the training images.")] = 1.0,
    workers: Annotated[int, typer.Option(min=0, help="Ray workers; 0 trains in this process.")] = 0,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Json = False,
) -> None:
    """Train two networks with the same settings several times, and test whether they differ by more than chance.

    Examples:
      nas confirm runs/NAME --data DIR --seeds 5
    """
    import statistics

    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import make_console, print_json, say, say_next
    from nas.core.errors import InputError
    from nas.core.section import validated
    from nas.evaluate.data.settings import DataSettings
    from nas.evaluate.proxy.settings import ProxySettings
    from nas.scale.find_network import find_network
    from nas.search.run_data import check_of_run, data_of_run
    from nas.studies.compare_trained import confirm as train
    from nas.studies.compare_trained import difference

    settings = data_of_run(thing, data) or {"source": data}
    if settings["source"] is None:
        raise InputError("confirm: --data is missing: a name that nas data list shows, or a folder or zip of images")
    settings |= {"resolution": resolution, "fraction": fraction}
    networks = [find_network(thing), find_network(against)]
    console = make_console()
    found = train(
        networks,
        validated(DataSettings, settings, "the command line"),
        ProxySettings(epochs=epochs, batch_size=32),
        seeds,
        workers,
        ConsoleCallback(console, quiet=json),
        check_of_run(thing) if len(settings) > _PLAIN_SETTINGS else None,
    )
    gap = difference(*found)
    if json:
        rows: list[dict[str, Any]] = [
            {"name": item.name, "accuracies": item.accuracies, "failures": item.failures} for item in found
        ]
        print_json({"networks": rows, "difference": gap and {"mean": gap.mean, "low": gap.low, "high": gap.high}})
        return
    for item in found:
        spread = f" ± {100 * statistics.stdev(item.accuracies):.2f}" if len(item.accuracies) > 1 else ""
        say(console, f"{item.name:<24} {statistics.fmean(item.accuracies):.2%}{spread} over {len(item.accuracies)}")
    if gap is not None:
        verdict = "more than chance" if gap.low > 0 or gap.high < 0 else "within chance"
        say(
            console,
            f"Difference {100 * gap.mean:+.2f} points, 95% interval {100 * gap.low:+.2f} to {100 * gap.high:+.2f}: "
            f"{verdict}, for these {epochs}-epoch trainings at {resolution} px",
        )
    elif seeds > 1:
        say(console, "Difference not known: it needs two trainings of each network, and accuracies that vary")
    say_next(console, "train", thing, "--data", settings["source"])
