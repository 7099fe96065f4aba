"""Terminal output of a training: a bar in a terminal, one line per epoch, and the result at the end."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.cli.display.output import plain_table, say, say_files, say_next, show_table
from nas.cli.display.progress import PLOT_LINES, PLOTTED
from nas.cli.display.text_plot import text_plot
from nas.core.callback import Callback
from nas.core.units import format_duration
from nas.search.result import Result
from nas.search.run_directory import read_config, read_identity
from nas.studies.paper_tables import TransferRow, table_5
from nas.tracking.tensorboard_log import FOLDER
from nas.training.history import value

if TYPE_CHECKING:
    from nas.training.run import TrainingRun

_WORDS = {"accuracy": "top-1", "top5_accuracy": "top-5"}
_SHOWN = tuple(_WORDS.values())  # in every epoch's line


class TrainingProgress(Callback):
    """Live display of a training: epoch, best accuracy so far, remaining time, and accuracy over epochs.

    One line per epoch is printed above the live display; without a terminal only these lines are printed.

    Args:
        console: where to draw.
        epochs: total number of epochs.
        history: rows of the epochs that ended before a resume.
        metric: what the training maximises.
    """

    def __init__(
        self, console: Console, epochs: int, history: Sequence[Mapping[str, Any]] = (), metric: str = "accuracy"
    ) -> None:
        self.console, self.epochs, self.metric = console, epochs, metric
        self._metric = _WORDS.get(metric, metric.replace("_", " "))
        self.rows = [{key: float(value) for key, value in row.items()} for row in history]
        self._share, self._words, self._now = 0.0, "", len(self.rows) + 1
        self._begun, self._first = time.monotonic(), 0
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._live.stop()

    def step_finished(self, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """Update the display after a training step."""
        self._now, self._share = epoch + 1, step / steps
        self._words = f"loss {loss:.4f}  {images_per_s:,.0f} images/s"

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Print an epoch's line."""
        epoch = int(row["epoch"])
        self.rows.append({key: float(value) for key, value in row.items()})
        self._first = self._first or epoch
        say(
            self.console,
            f"epoch {epoch:>3}/{self.epochs}  rate {float(row['learning_rate']):.2e}  loss {float(row['loss']):.4f}  "
            f"{self._accuracies(row)}  {self._left()} left",
        )

    def _accuracies(self, row: Mapping[str, Any]) -> str:
        """Return the accuracies of an epoch's line."""
        averaged = f"  average {float(row['ema_top1']):6.2%}" if "ema_top1" in row else ""
        averaged += f"  {self._metric} {value(row, self.metric):6.2%}" if self._metric not in _SHOWN else ""
        return f"top-1 {float(row['raw_top1']):6.2%}{averaged}  top-5 {float(row['raw_top5']):6.2%}"

    def _left(self) -> str:
        epoch = int(self.rows[-1]["epoch"])
        spent = time.monotonic() - self._begun
        return format_duration(spent / (epoch - self._first + 1) * (self.epochs - epoch))

    def _render(self) -> RenderableType:
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(f"epoch {min(self._now, self.epochs)}/{self.epochs}"),
            ProgressBar(total=1.0, completed=self._share, width=30),
            Text(self._words),
        )
        if not self.rows:
            return bar
        points = [(row["epoch"], value(row, self.metric)) for row in self.rows]
        best = max(points, key=lambda point: point[1])
        left = f"; {self._left()} left" if self._first else ""
        lines = [f"Best     {self._metric} {best[1]:.2%} on validation, in epoch {best[0]:.0f}{left}"]
        if len(points) >= PLOTTED and self.console.height >= PLOT_LINES + 10:
            lines += text_plot(
                points,
                [best],
                width=min(self.console.width - 1, 64),
                height=PLOT_LINES,
                write_x=lambda epoch: f"epoch {epoch:.0f}",
                write_y=lambda accuracy: f"{accuracy:.1%}",
                plain=not self.console.encoding.lower().startswith("utf"),
            )
        return Group(bar, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def print_result(run: TrainingRun, console: Console) -> None:
    """Print the result of a training, and the paper's results on the same data set for comparison."""
    result = run.result() or {}
    kept = "averaged weights" if result["averaged"] else "weights"
    low, high = result["test_interval"]
    images = result["images"]["test"]
    interval = f" [{low:.1%}, {high:.1%}] of {images:,} images"
    say(console, f"Test     top-1 {result['test_top1']:.2%}{interval}, top-5 {result['test_top5']:.2%}")
    calibration = f"expected calibration error {result['calibration_error']:.1%}"
    say(console, f"         balanced accuracy {result['balanced_accuracy']:.2%}, {calibration}")
    if searched := _against_search(run, result):
        say(console, f"         {searched}")
    if result["stopped"]:
        say(console, f"         ended after epoch {len(run.history())}: {result['stopped']}")
    metric = run.config.metric
    reached = f"{metric.replace('_', ' ')} {result.get('validation', result['validation_top1']):.2%}"
    best = f"epoch {result['best_epoch']} of {result['epochs']}, best on validation ({reached})"
    say(console, f"         with the {kept} of {best}")
    if rows := table_5(run.config.data.source):
        _print_table_5(rows, f"{result['params'] / 1e6:.1f}M params, {result['test_top1']:.1%}", run, console)
    names = ("weights.safetensors", "network.yaml", "history.csv", "curves.svg", "result.json", "report.html")
    say_files(console, [run.path / name for name in names])
    if run.config.tensorboard:
        say(console, f"Events   tensorboard --logdir {shlex.quote(str(run.path / FOLDER))}")
    say_next(console, "export", run.path, "onnx", "pt2", "py")


def _against_search(run: TrainingRun, result: Mapping[str, Any]) -> str:
    """Return how a training compares with the short trainings of the search whose network it is; empty if it is not."""
    path = Path(run.config.thing)
    path = path.parent if path.name == "baseline.yaml" else path
    found = Result.read(path) if (path / "trials.jsonl").is_file() else None
    then = read_identity(path) if found is not None else None
    if (
        found is None
        or found.test_accuracy is None
        or then is None
        or run.images is None
        or then.changes_to(run.images)
        or read_config(path).objective.metric != "accuracy"
    ):
        return ""
    points = 100 * (result["test_top1"] - found.test_accuracy)
    words = "with the supernet's weights" if read_config(path).has_supernet else "after the search's short trainings"
    if points >= 0:
        return f"{points:.1f} points more than {words} ({found.test_accuracy:.2%})"
    return (
        f"{-points:.1f} points less than {words} ({found.test_accuracy:.2%}): train longer (--epochs), or with "
        "the recipe small-images"
    )


def _print_table_5(rows: Sequence[TransferRow], reached: str, run: TrainingRun, console: Console) -> None:
    numbers = ("other top-1", "params", "EfficientNet top-1", "params ")
    table = plain_table("the paper's Table 5", "other", *numbers[:2], "EfficientNet", *numbers[2:], right=numbers)
    for row in rows:
        other_size, size = ("-" if count is None else f"{count}M" for count in (row.other_params_m, row.params_m))
        table.add_row(row.kind, row.other, f"{row.other_top1:.1f}%", other_size, row.ours, f"{row.top1:.1f}%", size)
    show_table(console, table)
    say(console, f"reached here: {run.network.name}, {reached}")
