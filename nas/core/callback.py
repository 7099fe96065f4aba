"""Callbacks that observe running work: the terminal, wandb, TensorBoard or the user's own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.records import Trial


class Callback:
    """Base class of the callbacks that observe a search, a study or a training.

    Every method does nothing by default; a subclass overrides the methods that it needs.
    """

    def message(self, text: str) -> None:
        """Called with a message for the user, of one or more lines."""

    def warning(self, text: str) -> None:
        """Called with a warning that the user should read."""

    def images_decoded(self, done: int, total: int) -> None:
        """Called while images are decoded: ``done`` of ``total`` images are decoded."""

    def trials_running(self, count: int) -> None:
        """Called with the number of trials that are running now."""

    def trial_finished(self, trial: Trial, details: str) -> None:
        """Called after a trial is written to the journal. ``details`` is the traceback of an exception, or empty."""

    def tick(self) -> None:
        """Called several times a second while trials run."""

    def step_finished(self, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """Called a few times a second during a full training, after a step.

        Args:
            epoch: number of the epoch, from 0.
            step: number of the step in the epoch, from 1.
            steps: number of steps in the epoch.
            loss: mean loss over the epoch so far.
            images_per_s: images per second, since the start of the epoch or its last saved checkpoint.
        """

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Called when an epoch of a full training is done, scored and saved.

        ``row`` is the line of the epoch in ``history.csv``.
        """


class CallbackList(Callback):
    """Passes every event on to several callbacks, in their order."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = tuple(callbacks)

    def message(self, text: str) -> None:
        """Pass a message on."""
        for callback in self.callbacks:
            callback.message(text)

    def warning(self, text: str) -> None:
        """Pass a warning on."""
        for callback in self.callbacks:
            callback.warning(text)

    def images_decoded(self, done: int, total: int) -> None:
        """Pass the progress of decoding on."""
        for callback in self.callbacks:
            callback.images_decoded(done, total)

    def trials_running(self, count: int) -> None:
        """Pass the number of running trials on."""
        for callback in self.callbacks:
            callback.trials_running(count)

    def trial_finished(self, trial: Trial, details: str) -> None:
        """Pass a finished trial on."""
        for callback in self.callbacks:
            callback.trial_finished(trial, details)

    def tick(self) -> None:
        """Pass a tick on."""
        for callback in self.callbacks:
            callback.tick()

    def step_finished(self, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """Pass a step on."""
        for callback in self.callbacks:
            callback.step_finished(epoch, step, steps, loss, images_per_s)

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Pass an epoch on."""
        for callback in self.callbacks:
            callback.epoch_finished(row)


SILENT = Callback()
