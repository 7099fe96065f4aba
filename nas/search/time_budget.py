"""The time budget of a search: wall-clock time, or GPU-hours or CPU-hours of all workers together."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Literal

from nas.core.errors import InputError

Kind = Literal["clock", "gpu", "cpu"]
_UNITS: dict[str, tuple[Kind, float]] = {
    "s": ("clock", 1.0),
    "m": ("clock", 60.0),
    "min": ("clock", 60.0),
    "h": ("clock", 3600.0),
    "d": ("clock", 86400.0),
    "gpuh": ("gpu", 3600.0),
    "cpuh": ("cpu", 3600.0),
}
_FORM = re.compile(r"\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*([a-z]+)\s*")


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """A limit on the time that a search takes.

    Attributes:
        kind: ``clock`` for wall-clock time; ``gpu`` or ``cpu`` for GPU- or CPU-time of all workers together.
        seconds: the limit in seconds.
        text: the limit as it was given.
    """

    kind: Kind
    seconds: float
    text: str

    @classmethod
    def parse(cls, text: str) -> TimeBudget:
        """Read ``2h``, ``90m``, ``24gpuh`` or ``8cpuh``.

        Raises:
            InputError: if the text has another form.
        """
        match = _FORM.fullmatch(str(text).lower())
        if match is None or match.group(2) not in _UNITS or float(match.group(1)) <= 0:
            raise InputError(f"budget: expected a number with a unit, such as 2h, 90m, 24gpuh or 8cpuh, got '{text}'")
        kind, unit = _UNITS[match.group(2)]
        return cls(kind, float(match.group(1)) * unit, str(text))


class TimeAccount:
    """Keeps account of a time budget; time in which the program does not run is not counted.

    Args:
        budget: the limit.
        gpus_per_worker: share of a GPU that each worker holds.
        trial_s: expected seconds of a trial; 0 if they are not known.

    Attributes:
        before_s: wall-clock seconds that earlier processes took.

    Raises:
        InputError: if the budget is in GPU-hours but trials use no GPU.
    """

    def __init__(self, budget: TimeBudget, gpus_per_worker: float, trial_s: float = 0.0) -> None:
        if budget.kind == "gpu" and gpus_per_worker == 0:
            raise InputError(
                f"budget: {budget.text} are GPU-hours, but trials use no GPU here; give cpuh, or wall-clock hours: 2h"
            )
        self.budget, self.trial_s, self.before_s = budget, trial_s, 0.0
        self._share = gpus_per_worker if budget.kind == "gpu" else 1.0
        self._trained_s, self._trainings, self._besides_s = 0.0, 0, 0.0
        self._start = time.monotonic()

    @property
    def clock_s(self) -> float:
        """Wall-clock seconds that have been spent so far."""
        return self.before_s + time.monotonic() - self._start

    def took(self, *seconds: float) -> None:
        """Record the seconds of finished trainings."""
        self._trained_s += sum(seconds)
        self._trainings += len(seconds)

    def took_besides(self, seconds: float) -> None:
        """Record the seconds of trainings that are no trials."""
        self._besides_s += seconds

    def left_s(self, running: int = 0) -> float:
        """Return the seconds that are left in the budget.

        In a budget of GPU- or CPU-hours, each of the ``running`` trainings is counted with its expected seconds.
        """
        if self.budget.kind == "clock":
            return self.budget.seconds - self.clock_s
        return self.budget.seconds - self._share * (self._trained_s + self._besides_s + running * self._expected_s)

    def clock_left_s(self, running: int) -> float:
        """Return the wall-clock seconds that the rest of the budget lasts while ``running`` workers are busy."""
        return self.left_s() / (1.0 if self.budget.kind == "clock" else max(1, running) * self._share)

    def allows(self, running: int) -> bool:
        """Return whether the budget allows one more training; the first one is always allowed."""
        if not self._trainings and not running:
            return True
        share = 1.0 if self.budget.kind == "clock" else self._share
        return self.left_s(running) >= share * self._expected_s

    def affords(self, workers: int) -> int | None:
        """Return how many trials the budget allows; ``None`` if the seconds of a trial are not known."""
        if not self.trial_s:
            return None
        parallel = workers if self.budget.kind == "clock" else 1 / self._share
        return max(1, int(self.left_s() * parallel / self.trial_s))

    @property
    def _expected_s(self) -> float:
        return self._trained_s / self._trainings if self._trainings else self.trial_s
