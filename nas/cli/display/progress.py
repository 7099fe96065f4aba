"""The live display of a search; plain lines where standard output is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.cli.display.output import say
from nas.cli.display.text_plot import text_plot
from nas.core.records import Trial
from nas.core.units import count_words, format_quantity
from nas.search.tally import Tally
from nas.search.time_budget import TimeAccount

PLOTTED, MOST_PLOTTED = 5, 2000  # trials from which on there is a picture, and of which it is at most
PLOT_LINES = 7


class SearchProgress:
    """One calm screen: how many trials are done, the best, the front, the pace, and a small picture of them.

    Where there is no terminal, a line a trial instead.

    Args:
        console: where to draw.
        goal: how many trials are asked for; ``None`` where a budget alone ends the search.
        tally: of the trials that were finished before; it is kept up to date.
        terse: print only what is best so far or failed, as where thousands of trials take seconds.
        time_account: the budget's account.
        gpus_per_worker: share of a GPU that a trial holds; 0 without.
    """

    def __init__(
        self,
        console: Console,
        goal: int | None,
        tally: Tally,
        terse: bool = False,
        time_account: TimeAccount | None = None,
        gpus_per_worker: float = 0.0,
    ) -> None:
        self.console, self.goal, self.terse, self.time_account = console, goal, terse, time_account
        self.tally, self.gpus_per_worker, self.running = tally, gpus_per_worker, 0
        self._first_done, self._start = self.done, time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return len(self.tally.trials)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._start = time.monotonic()
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._live.stop()

    def started(self, running: int) -> None:
        """Note how many trials are running."""
        self.running = running

    def finished(self, trial: Trial, details: str) -> None:  # noqa: ARG002 (for the log)
        """Note a trial, and print its line if it is worth one."""
        improved = self.tally.add(trial)
        if self.terse and self.done - self._first_done == 1:  # the first of many waits for what is loaded once
            self._first_done, self._start = self.done, time.monotonic()
        quiet = self.terse or self.console.is_terminal
        if quiet and not improved and trial.status != "failed":
            return
        line = trial_line(trial) + (" [best]" if improved else "")
        if not self.console.is_terminal:
            line += f"  ({self._count()}{self._pace()})"
        say(self.console, line, style="red" if trial.status == "failed" else "")

    def tick(self) -> None:
        """Do nothing: the screen redraws itself."""

    def _render(self) -> RenderableType:
        tally = self.tally
        pruned = f", {tally.pruned} pruned" if tally.pruned else ""
        bar = Table.grid(padding=(0, 1))
        counts = Text(f"{self._count()} done, {self.running} running, {tally.failed} failed{pruned}")
        bar.add_row(ProgressBar(total=1.0, completed=self._share_done(), width=30), counts)
        lines = [f"Best     {'no trial has succeeded yet' if tally.best is None else trial_line(tally.best)}"]
        if tally.front:
            volume = tally.volume
            words = "" if volume is None else f", hypervolume {volume:.4f}"
            lines.append(f"Front    {count_words(len(tally.front), 'network')}{words}")
        lines.append(f"Pace     {self._pace().removeprefix('; ') or 'the first trials are running'}{self._spent()}")
        parts = [Text(line, no_wrap=True, overflow="ellipsis") for line in [*lines, *self._plot()]]
        return Group(bar, *parts)

    def _plot(self) -> list[str]:
        """Draw accuracy over MACs, the front marked."""
        newest = [*self.tally.trials[-MOST_PLOTTED:], *self.tally.front]
        known = [trial for trial in newest if trial.reward is not None and "macs" in trial.metrics]
        if len(known) < PLOTTED or self.console.height < PLOT_LINES + 10:
            return []
        front = {trial.number for trial in self.tally.front}
        points = [(trial.metrics["macs"], trial.metrics["accuracy"], trial.number in front) for trial in known]
        return text_plot(
            [(macs, accuracy) for macs, accuracy, _ in points],
            [(macs, accuracy) for macs, accuracy, marked in points if marked],
            width=min(self.console.width - 1, 64),
            height=PLOT_LINES,
            write_x=lambda macs: f"{format_quantity(macs)} MACs",
            write_y=lambda accuracy: f"{accuracy:.1%}",
            plain=not self.console.encoding.lower().startswith("utf"),
        )

    def _spent(self) -> str:
        """Say what the trials took of all workers together, and what is left of the budget."""
        unit = "GPU-hours" if self.gpus_per_worker else "worker-hours"
        hours = self.tally.seconds * (self.gpus_per_worker or 1.0) / 3600
        left = ""
        if self.time_account is not None:
            kind = {"clock": "h by the clock", "gpu": "GPU-hours", "cpu": "CPU-hours"}[self.time_account.budget.kind]
            left = f", {max(0.0, self.time_account.left_s(self.running)) / 3600:.2f} {kind} left"
        return f"; {hours:.2f} {unit} spent{left}"

    def _pace(self) -> str:
        fresh, seconds = self.done - self._first_done, time.monotonic() - self._start
        if fresh <= 0 or seconds <= 0:
            return ""
        lefts = [] if self.goal is None else [(self.goal - self.done) * seconds / fresh]
        if self.time_account is not None:
            lefts.append(self.time_account.clock_left_s(self.running))
        return f"; {3600 * fresh / seconds:,.0f} trials/h, {format_duration(max(0.0, min(lefts)))} left"

    def _count(self) -> str:
        return str(self.done) if self.goal is None else f"{self.done}/{self.goal}"

    def _share_done(self) -> float:
        shares = [] if self.goal is None else [self.done / self.goal]
        if self.time_account is not None:
            shares.append(1 - self.time_account.left_s() / self.time_account.budget.seconds)
        return min(1.0, max(shares))


def trial_line(trial: Trial) -> str:
    """Describe a trial in one line."""
    if trial.status == "pruned":
        accuracy, epochs = trial.metrics.get("accuracy", 0.0), trial.metrics.get("epochs", 0)
        return f"trial {trial.number:>3}  pruned at {accuracy:.1%} after {epochs:g} epochs, {trial.seconds:.1f} s"
    if trial.status != "ok":
        return f"trial {trial.number:>3}  {trial.status} after {trial.seconds:.1f} s: {trial.error}"
    metrics = trial.metrics
    costs = "".join(f"  {format_quantity(metrics[name]):>6} {label}" for name, label in _COSTS if name in metrics)
    costs += f"  {metrics['latency_ms']:.2f} ms" if "latency_ms" in metrics else ""
    costs += f"  {metrics['throughput']:,.0f} images/s" if "throughput" in metrics else ""
    seconds = f"  {trial.seconds:.1f} s" if trial.seconds >= _INSTANT_S else ""
    return f"trial {trial.number:>3}  accuracy {metrics['accuracy']:.1%}{costs}  reward {trial.reward:.4f}{seconds}"


def format_duration(seconds: float) -> str:
    """Write a duration as ``0.5 s``, ``45 s``, ``12 min`` or ``3.4 h``."""
    if 0 < seconds < 3:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


_INSTANT_S = 0.05
_COSTS = (("macs", "MACs"), ("params", "params"))
