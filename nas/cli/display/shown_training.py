"""A training with its progress on the screen, of one network or of a supernet."""

from __future__ import annotations

import typer
from rich.console import Console

from nas.cli.display.console_callback import ConsoleCallback
from nas.cli.display.output import say
from nas.cli.display.training_progress import TrainingProgress
from nas.cli.guard import INTERRUPTED
from nas.cli.interruption import wish_to_stop
from nas.core.errors import WorkError
from nas.evaluate.data.image_data import ImageData
from nas.tracking.tensorboard_log import events_of
from nas.training.run import TrainingRun
from nas.training.session import load_images, run_training


def train_shown(
    run: TrainingRun, images: ImageData | None, console: Console, display: type[TrainingProgress] = TrainingProgress
) -> None:
    """Run a training and show its progress.

    Args:
        run: its folder.
        images: its images; ``None``: they are loaded, and checked to be those that it began with.
        console: where to print.
        display: class of the display.

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
        progress = display(console, epochs, run.history(), run.config.metric)
        with wish_to_stop() as is_over, events_of(run, progress) as callback, progress:
            run_training(run, images, callback, is_over)
    except KeyboardInterrupt:
        say(console, f"interrupted; {run.progress()} is saved; resume with: {run.resume_command}")
        raise typer.Exit(INTERRUPTED) from None
    except WorkError as error:
        hint = "" if "--resume" in str(error) or "diverged" in str(error) else f". Then: {run.resume_command}"
        raise WorkError(f"{error}{hint}") from None
