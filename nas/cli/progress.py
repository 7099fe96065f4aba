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

from nas.cli.output import say
from nas.evaluate.quantity import format_quantity
from nas.search_spaces.records import Trial
from nas.spending import Spending


class SearchProgress:
    """Done, running, failed; the best so far; trials per hour; time left.

    Args:
        console: where to draw.
        goal: how many trials are asked for; ``None`` where a budget alone ends the search.
        before: the trials that were finished before.
        best: the best of them.
        terse: print only what is best so far or failed, as where thousands of trials take seconds.
        spending: the budget's account.
    """

    def __init__(
        self,
        console: Console,
        goal: int | None,
        before: list[Trial],
        best: Trial | None,
        terse: bool = False,
        spending: Spending | None = None,
    ) -> None:
        self.console, self.goal, self.best, self.terse, self.spending = console, goal, best, terse, spending
        self.done = len(before)
        self.failed = sum(trial.status == "failed" for trial in before)
        self.pruned = sum(trial.status == "pruned" for trial in before)
        self.running = 0
        self._done_before, self._start = self.done, time.monotonic()
        self._live = Live(self._render(), console=console, refresh_per_second=4, transient=True)

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
        """Note a trial and print its line."""
        self.done += 1
        self.failed += trial.status == "failed"
        self.pruned += trial.status == "pruned"
        improved = trial.reward is not None and (self.best is None or trial.reward > (self.best.reward or 0))
        if improved:
            self.best = trial
        elif self.terse and trial.status == "ok":
            return
        line = trial_line(trial) + (" [best]" if improved else "")
        if not self.console.is_terminal:
            line += f"  ({self._count()}{self._pace()})"
        say(self.console, line, style="red" if trial.status == "failed" else "")

    def tick(self) -> None:
        """Redraw."""
        if self.console.is_terminal:
            self._live.update(self._render())

    def _render(self) -> RenderableType:
        pruned = f", {self.pruned} pruned" if self.pruned else ""
        counts = Text(f"{self._count()} done, {self.running} running, {self.failed} failed{pruned}{self._pace()}")
        best = Text("no trial has succeeded yet" if self.best is None else f"best: {trial_line(self.best)}")
        bar = Table.grid(padding=(0, 1))
        share = self._share_done()
        bar.add_row(ProgressBar(total=1.0, completed=share, width=30), counts)
        return Group(bar, best)

    def _pace(self) -> str:
        fresh, seconds = self.done - self._done_before, time.monotonic() - self._start
        if not fresh or seconds <= 0:
            return ""
        lefts = [] if self.goal is None else [(self.goal - self.done) * seconds / fresh]
        if self.spending is not None:
            lefts.append(self.spending.clock_left_s(self.running))
        return f"; {3600 * fresh / seconds:.0f} trials/h, {format_duration(max(0.0, min(lefts)))} left"

    def _count(self) -> str:
        return str(self.done) if self.goal is None else f"{self.done}/{self.goal}"

    def _share_done(self) -> float:
        shares = [] if self.goal is None else [self.done / self.goal]
        if self.spending is not None:
            shares.append(1 - self.spending.left_s() / self.spending.budget.seconds)
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
