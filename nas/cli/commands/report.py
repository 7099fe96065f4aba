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
    run: Annotated[Path, typer.Argument(help="A run directory; its search may still be running.")],
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
    """Write the run as one self-contained HTML page: what was found, how, and how far to trust it.

    A search writes the page at its end. This command writes it again, for instance after nas trust, or while the search
    is running.

    Examples:
      nas report runs/NAME

      nas report runs/NAME --pictures
    """
    from nas.cli.display.output import make_console, say_files, say_next
    from nas.report.page import FILE, write_report

    target = out / FILE if out is not None and (out.is_dir() or not out.suffix) else out
    with opening(trust_code):
        files = write_report(run, target, pictures, against)
    console = make_console()
    say_untrusted(console, run, trust_code)
    say_files(console, files)
    if (run / "baseline.yaml").is_file():
        say_next(console, "show", run)
