"""What can be observed of ``nas make``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.callback import CallbackList
from nas.make.folder import TimeKeeper
from nas.search.callback import SearchCallback
from nas.training.config import TrainConfig


class MakeCallback(SearchCallback):
    """Base class of the callbacks that observe ``nas make``. Every method does nothing by default."""

    def training_started(self, config: TrainConfig, history: Sequence[Mapping[str, str]]) -> None:
        """Called before the full training runs, with the rows of the epochs that are done."""

    def training_ended(self) -> None:
        """Called when the full training has ended or was interrupted."""


class TimedCallback(MakeCallback, CallbackList):
    """Passes every event on to the user's callback and to the one that keeps the time."""

    def __init__(self, user: MakeCallback, keeper: TimeKeeper) -> None:
        CallbackList.__init__(self, [user, keeper])
        self._user = user

    def training_started(self, config: TrainConfig, history: Sequence[Mapping[str, str]]) -> None:
        """Pass the event on."""
        self._user.training_started(config, history)

    def training_ended(self) -> None:
        """Pass the event on."""
        self._user.training_ended()

    def search_prepared(self, *arguments: Any) -> None:
        """Pass the event on."""
        self._user.search_prepared(*arguments)

    def trials_started(self, *arguments: Any) -> None:
        """Pass the event on."""
        self._user.trials_started(*arguments)

    def trials_ended(self) -> None:
        """Pass the event on."""
        self._user.trials_ended()

    def search_interrupted(self, *arguments: Any) -> None:
        """Pass the event on."""
        self._user.search_interrupted(*arguments)
