"""``nas rediscover``: test whether the search finds EfficientNet-B0 again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.display.output import Quiet
from nas.cli.guard import guarded


@guarded
def rediscover(
    target_flops: Annotated[str, typer.Option(help="The target T in MACs.")] = "400M",
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches of each form, one per seed.")] = 5,
    trials: Annotated[int, typer.Option(min=1, help="Trials of each search.")] = 3000,
    sample: Annotated[
        int, typer.Option(min=100, help="Random architectures from which ranks and shares are computed.")
    ] = 1_000_000,
    out: Annotated[Path, typer.Option(help="Folder for the page and the runs.")] = Path("rediscovery"),
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Search B0's space at T = 400M with three forms of the papers' reward, and report which B0 choices are found.

    The forms are soft without a band, soft with a band, and hard. Each one is searched with SE free and with SE on in
    every stage, on predicted ImageNet accuracy.

    Examples:
      nas rediscover --seeds 5 --out rediscovery
    """
    import json as json_library

    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import make_console, print_json, say, say_files, say_next
    from nas.core.files import write_whole
    from nas.core.units import parse_count
    from nas.search.run_directory import check_free
    from nas.studies.rediscovery import as_json
    from nas.studies.rediscovery import rediscover as run
    from nas.studies.rediscovery_page import page

    target = parse_count(target_flops, "--target-flops")
    check_free(out)
    console = make_console()
    forms, effects = run(out, target, seeds, trials, sample, ConsoleCallback(console, quiet=json))
    document = as_json(forms, effects)
    text = page(forms, effects, target)
    write_whole(out / "rediscovery.md", text)
    write_whole(out / "rediscovery.json", json_library.dumps(document, indent=2) + "\n")
    if json:
        print_json(document)
        return
    say(console, text)
    say_files(console, [out / "rediscovery.md", out / "rediscovery.json", out / "runs"])
    say_next(console, "report", next(iter(sorted((out / "runs").iterdir()))))
