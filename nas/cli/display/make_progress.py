"""Terminal output of ``nas make``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from nas.cli.display.console_callback import ConsoleCallback
from nas.cli.display.output import say, say_files, say_next
from nas.cli.display.training_progress import TrainingProgress
from nas.core.units import count_words, format_duration, format_quantity
from nas.make.callback import MakeCallback
from nas.make.session import Made
from nas.training.config import TrainConfig

_COLUMN = 16  # column where the text behind a label begins


class MakeConsole(ConsoleCallback, MakeCallback):
    """Draws the search as ``nas search`` does, and the full training as ``nas train`` does.

    Args:
        console: where to print.
        quiet: print warnings only.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        super().__init__(console, quiet)
        self._training: TrainingProgress | None = None

    def training_started(self, config: TrainConfig, history: Sequence[Mapping[str, str]]) -> None:
        """Start the display of the full training."""
        if not self._quiet:
            self._training = TrainingProgress(self._console, config.recipe.epochs, history, config.metric)
            self._training.__enter__()

    def step_finished(self, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """Show a step of the full training."""
        if self._training is not None:
            self._training.step_finished(epoch, step, steps, loss, images_per_s)

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Show an epoch of the full training."""
        if self._training is not None:
            self._training.epoch_finished(row)

    def training_ended(self) -> None:
        """Stop the display of the full training."""
        if self._training is not None:
            self._training.__exit__(None, None, None)
            self._training = None

    def __enter__(self) -> Self:
        """Return the callback."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all drawing."""
        self.training_ended()
        super().__exit__(kind, error, trace)


def print_made(made: Made, console: Console) -> None:
    """Print the network, its accuracy with an interval, the control, the files and the next command."""
    result = made.result
    low, high = result["interval"]
    console.print()
    kind = "found by the search" if result["network"] == "search" else f"of the control: {result['name']}"
    say(console, f"Network         {kind}; {result['epochs']} epochs at {result['resolution']} px")
    say(
        console,
        f"Test accuracy   {result['accuracy']:.2%} [{low:.1%}, {high:.1%}], 95% interval from "
        f"{result['test_images']:,} images",
    )
    if (control := result["control"]) is not None:
        say(console, f"Worth it?       {control['verdict']}")
        say(
            console,
            f"                {control['baseline_test']:.2%} against {control['best_test']:.2%}, in "
            f"{count_words(control['trainings'], 'training')} of {control['epochs']} epochs each",
        )
        if control["no_time"]:
            say(console, f"                there was no time for {', '.join(control['no_time'])}")
    say(console, f"MACs            {format_quantity(result['macs'])}")
    say(console, f"Params          {format_quantity(result['params'])}")
    seconds = result["seconds"]
    say(console, f"Time            {format_duration(seconds['all'])} of {result['minutes']:g} minutes")
    say_files(console, made.files, _COLUMN)
    say_next(console, "cam", made.folder / "trained", "--image", "IMAGE", "--out", "cam.png", column=_COLUMN)
