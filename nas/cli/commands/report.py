"""``nas report``: the run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.display.output import Quiet
from nas.cli.guard import guarded
from nas.cli.trust import TrustCode, opening, say_untrusted


@guarded
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run directories, whose searches may still be running, or the folder of nas make, nas train "
            "or a search for several targets."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page, or a folder for it (default: report.html in the run directory).")
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option("--pictures", help="Also write each picture as SVG and PNG, to the folder pictures beside it."),
    ] = False,
    against: Annotated[
        Path | None, typer.Option(help="Another run to draw for comparison, such as one with --controller random.")
    ] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
) -> None:
    """Write a run as one self-contained HTML page: what was found, how, and how far to trust it.

    A search writes the page at its end. This command writes it again, for instance after nas trust, or while the search
    is running. Several runs make one page, which compares them. Of a training's folder, the page shows its classes, its
    mistakes and its curves; of a folder of nas make, everything.

    Examples:
      nas report runs/NAME

      nas report runs/NAME --pictures

      nas report runs/ONE runs/OTHER --out both.html
    """
    from nas.cli.display.output import make_console, say_files, say_next
    from nas.core.errors import InputError
    from nas.report.make_page import is_made, write_made_again
    from nas.report.page import FILE, write_report
    from nas.report.several import write_several
    from nas.report.training import is_training, write_training_report
    from nas.search.budgets import Budgets

    target = out / FILE if out is not None and (out.is_dir() or not out.suffix) else out
    console, first = make_console(), runs[0]
    if len(runs) == 1 and (budgets := Budgets.read(first)) is not None:
        runs, target = list(budgets.runs.values()), target or first / FILE
    if len(runs) > 1 or is_training(first) or is_made(first):
        if pictures or against is not None:
            raise InputError("report: --pictures and --against apply to the page of one run")
        if len(runs) > 1:
            with opening(trust_code):
                files = write_several(runs, target or Path(FILE))
        else:
            files = (write_made_again if is_made(first) else write_training_report)(first, target)
        say_files(console, files)
        return
    with opening(trust_code):
        files = write_report(first, target, pictures, against)
    say_untrusted(console, first, trust_code)
    say_files(console, files)
    if (first / "baseline.yaml").is_file():
        say_next(console, "show", first)
