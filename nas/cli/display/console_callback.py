"""Terminal output of a running search, study or training."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nas.cli.display.output import say, warn
from nas.cli.display.progress import SearchProgress
from nas.cli.display.search_summary import announce, print_interruption
from nas.core.records import Trial
from nas.search.assemble import Setup
from nas.search.callback import SearchCallback, SearchState
from nas.search.run_directory import Run


class ConsoleCallback(SearchCallback):
    """Prints messages, and draws a bar while images are decoded and a live display while trials run.

    The callback is a context manager: leaving it stops all drawing.

    Args:
        console: where to print.
        quiet: print warnings but no messages, and draw no bar.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._bar: Progress | None = None
        self._progress: SearchProgress | None = None

    def __enter__(self) -> Self:
        """Return the callback; drawing begins with the first event that needs it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._stop_bar()
        self.trials_ended()

    def message(self, text: str) -> None:
        """Print a message."""
        self._stop_bar()
        if not self._quiet:
            say(self._console, text)

    def warning(self, text: str) -> None:
        """Print a warning."""
        self._stop_bar()
        warn(self._console, text)

    def images_decoded(self, done: int, total: int) -> None:
        """Draw or update the bar if the console is a terminal."""
        if self._quiet or not self._console.is_terminal:
            return
        if self._bar is None:
            columns = TextColumn("Decoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task("decode", total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def search_prepared(self, setup: Setup, run: Run) -> None:
        """Print the settings of the search before it starts."""
        if self._quiet:
            return
        announce(setup, run, self._console)

    def trials_started(self, state: SearchState) -> None:
        """Start the live display of the search."""
        if self._quiet:
            return
        self._progress = SearchProgress(self._console, state)
        self._progress.__enter__()

    def trials_running(self, count: int) -> None:
        """Show how many trials are running."""
        if self._progress is not None:
            self._progress.running = count

    def trial_finished(self, trial: Trial, details: str) -> None:  # noqa: ARG002 (only the log uses the details)
        """Pass the trial to the live display, which may print a line for it."""
        if self._progress is not None:
            self._progress.finished(trial)

    def trials_ended(self) -> None:
        """Stop the live display of the search."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def search_interrupted(self, run: Run, best: Trial | None) -> None:
        """Print what was saved and how to resume."""
        print_interruption(best, run, self._console)

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
