"""Those who look on at work that is under way: the terminal, wandb, TensorBoard, a program of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.records import Trial


class Callback:
    """Looks on at a search, a study or a training. Every method does nothing; a subclass overrides what it needs."""

    def message(self, text: str) -> None:
        """Something happened that a person may want to read; one line or several."""

    def warning(self, text: str) -> None:
        """Something happened that a person should read."""

    def images_decoded(self, done: int, total: int) -> None:
        """So many of all images are decoded."""

    def trials_running(self, count: int) -> None:
        """So many trials are running now."""

    def trial_finished(self, trial: Trial, details: str) -> None:
        """A trial is in the journal. ``details`` is the traceback of an exception; empty without."""

    def tick(self) -> None:
        """Called several times a second while trials run."""

    def step_finished(self, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """A step of a full training is done; called a few times a second.

        Args:
            epoch: from 0.
            step: of the epoch, from 1.
            steps: of the whole epoch.
            loss: mean over the epoch so far.
            images_per_s: measured since the last call.
        """

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """An epoch of a full training is done, scored and saved; ``row`` is its line of ``history.csv``."""


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
