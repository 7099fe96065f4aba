"""Terminal output of a supernet's training: its progress, and its networks' accuracies at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console

from nas.cli.display.console_callback import ConsoleCallback
from nas.cli.display.output import plain_table, say, say_files, say_next, show_table
from nas.cli.display.training_progress import TrainingProgress
from nas.cli.guard import INTERRUPTED
from nas.cli.interruption import wish_to_stop
from nas.core.errors import WorkError
from nas.core.units import format_quantity
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.supernet.file import SHARED
from nas.tracking.tensorboard_log import events_of
from nas.training.history import column
from nas.training.run import TrainingRun
from nas.training.session import load_images, run_training

_JUDGED = ("largest", "random", "smallest")


class SupernetProgress(TrainingProgress):
    """Live display of a supernet's training: one line per epoch with the accuracies of three of its networks."""

    def _accuracies(self, row: Mapping[str, Any]) -> str:
        shown = "  ".join(f"{name} {float(row[f'{name}_{column(self.metric)}']):6.2%}" for name in _JUDGED)
        return f"{self._metric}: {shown}"


def train_shown(run: TrainingRun, images: ImageData | None, console: Console) -> None:
    """Run a supernet's training and show its progress.

    Args:
        run: its folder.
        images: its images; ``None``: they are loaded, and checked to be those that it began with.
        console: where to print.

    Raises:
        Exit: if the user stopped it; its state is saved.
        InputError, WorkError: as ``nas.training.train.train``.
    """
    run.lock()
    if images is None:
        with ConsoleCallback(console) as terminal:
            images = load_images(run.config, terminal)
        run.check_images(images)
    epochs = run.config.recipe.epochs
    say(console, f"Training {epochs} epochs in {run.path}; Ctrl-C saves and stops, --resume continues")
    try:
        progress = SupernetProgress(console, epochs, run.history(), run.config.metric)
        with wish_to_stop() as is_over, events_of(run, progress) as callback, progress:
            run_training(run, images, callback, is_over)
    except KeyboardInterrupt:
        say(console, f"interrupted; {run.progress()} is saved; resume with: {run.resume_command}")
        raise typer.Exit(INTERRUPTED) from None
    except WorkError as error:
        hint = "" if "--resume" in str(error) or "diverged" in str(error) else f". Then: {run.resume_command}"
        raise WorkError(f"{error}{hint}") from None


def print_supernet_result(run: TrainingRun, console: Console) -> None:
    """Print the accuracies of the largest, a random and the smallest network, and what to do next."""
    result = run.result() or {}
    table = plain_table(
        "network", "MACs", "params", "validation", "test", right=("MACs", "params", "validation", "test")
    )
    for name in _JUDGED:
        one = result["networks"][name]
        costs = (format_quantity(one[cost]) for cost in ("macs", "params"))
        table.add_row(name, *costs, *(f"{one[part]['top1']:.2%}" for part in ("validation", "test")))
    show_table(console, table)
    say(console, f"Weights  {format_quantity(result['shared_params'])} shared params, of epoch {result['best_epoch']}")
    if result["stopped"]:
        say(console, f"         ended after epoch {len(run.history())}: {result['stopped']}")
    say_files(console, [run.path / name for name in (SHARED, "history.csv", "curves.svg", "result.json")])
    say_next(console, "search", "--supernet", run.path)
