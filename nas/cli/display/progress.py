"""The live display of a search, or plain lines if standard output is not a terminal."""

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
from nas.core.units import count_words, format_duration, format_quantity
from nas.search.callback import SearchState, trial_line

PLOTTED, MOST_PLOTTED = 5, 2000  # minimum number of trials for a plot; maximum number of newest trials in it
PLOT_LINES = 7


class SearchProgress:
    """Live display of the finished trials, the best one, the Pareto front, the pace, and a small plot.

    Without a terminal it prints one line per trial instead; for instant evaluators only failed and new best trials.

    Args:
        console: where to draw.
        state: state of the search, whose tally already includes each trial that is passed to ``finished``.
    """

    def __init__(self, console: Console, state: SearchState) -> None:
        self.console, self.goal, self.terse = console, state.goal, state.is_instant
        self.time_account, self.tally = state.time_account, state.tally
        self.gpus_per_worker, self.running = state.gpus_per_worker, 0
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

    def finished(self, trial: Trial) -> None:
        """Print a trial's line; in a terminal or for instant evaluators only if it failed or is the new best."""
        improved = self.tally.best is trial
        if self.terse and self.done - self._first_done == 1:  # the first trial includes one-time loading
            self._first_done, self._start = self.done, time.monotonic()
        quiet = self.terse or self.console.is_terminal
        if quiet and not improved and trial.status != "failed":
            return
        line = trial_line(trial) + (" [best]" if improved else "")
        if not self.console.is_terminal:
            line += f"  ({self._count()}{self._pace()})"
        say(self.console, line, style="red" if trial.status == "failed" else "")

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
        """Return the lines of a plot of accuracy over MACs with the Pareto front marked."""
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
        """Return the worker time that all trials took together, and the rest of the time budget."""
        unit = "GPU-hours" if self.gpus_per_worker else "worker-hours"
        hours = self.tally.seconds * (self.gpus_per_worker or 1.0) / 3600
        left = ""
        if self.time_account is not None:
            kind = {"clock": "wall-clock hours", "gpu": "GPU-hours", "cpu": "CPU-hours"}[self.time_account.budget.kind]
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
