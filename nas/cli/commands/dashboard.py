"""``nas dashboard`` and ``nas export-study``: a run in Optuna's dashboard and databases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.display.output import Quiet
from nas.cli.guard import guarded
from nas.cli.trust import TrustCode, opening, say_untrusted

RunFolder = Annotated[Path, typer.Argument(help="A run directory; its search may still be running.")]


@guarded
def dashboard(
    run: RunFolder,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 selects any free port.")] = 8080,
) -> None:
    """Show a run in optuna-dashboard, updated live while its search runs; Ctrl-C stops the server.

    Examples:
      nas dashboard runs/NAME
    """
    from nas.cli.display.output import make_console, say
    from nas.tracking.dashboard import serve

    console = make_console()
    serve(run, host, port, lambda url: say(console, f"Dashboard {url} (Ctrl-C stops it)"))


@guarded
def export_study(
    run: RunFolder,
    storage: Annotated[str, typer.Option(help="URL of an Optuna database, such as sqlite:///study.db.")],
    trust_code: TrustCode = False,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
) -> None:
    """Write a run's trials into an Optuna database as two studies: one of the reward, one of accuracy and MACs.

    Running the command again adds the trials that have ended since.

    Examples:
      nas export-study runs/NAME --storage sqlite:///study.db
    """
    from nas.cli.display.output import make_console, say
    from nas.core.units import count_words
    from nas.tracking.optuna_study import RunStudies, open_storage, told_plainly

    database = open_storage(storage)
    with told_plainly(storage), opening(trust_code):
        studies = RunStudies(run, database, "export-study")
        added = studies.follow()
    console = make_console()
    say_untrusted(console, run, trust_code)
    say(console, f"{count_words(added, 'trial')} added to '{studies.reward.study_name}' in {storage}")
    say(console, f"Next     optuna-dashboard {storage}")
