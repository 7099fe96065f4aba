"""What a training shows: a bar where there is a terminal, a line an epoch, and what came of it at the end."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from nas.cli.output import plain_table, say
from nas.cli.progress import format_duration
from nas.program import program
from nas.transfer import TransferRow, table_5

if TYPE_CHECKING:
    from nas.training.run import TrainingRun


class TrainingProgress:
    """Watches a training.

    Args:
        console: where to draw.
        epochs: how many there will be.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("epoch 1", total=1.0, words="")
        self._begun, self._first = time.monotonic(), 0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._bar.stop()

    def stepped(self, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """Move the bar."""
        words = f"loss {loss:.4f}  {images_per_s:,.0f} images/s"
        description = f"epoch {epoch + 1}/{self.epochs}"
        self._bar.update(self._task, description=description, completed=step / steps, words=words)

    def ended(self, row: dict[str, Any]) -> None:
        """Print an epoch's line."""
        epoch = int(row["epoch"])
        self._first = self._first or epoch
        spent = time.monotonic() - self._begun
        left = format_duration(spent / (epoch - self._first + 1) * (self.epochs - epoch))
        averaged = f"  average {float(row['ema_top1']):6.2%}" if "ema_top1" in row else ""
        say(
            self.console,
            f"epoch {epoch:>3}/{self.epochs}  rate {float(row['learning_rate']):.2e}  loss {float(row['loss']):.4f}  "
            f"top-1 {float(row['raw_top1']):6.2%}{averaged}  top-5 {float(row['raw_top5']):6.2%}  {left} left",
        )


def print_result(run: TrainingRun, console: Console) -> None:
    """Print what came of a training, and beside it what the paper reached on the same images."""
    result = run.result() or {}
    kept = "averaged weights" if result["averaged"] else "weights"
    say(console, f"Test     top-1 {result['test_top1']:.2%}, top-5 {result['test_top5']:.2%}")
    best = f"epoch {result['best_epoch']} of {result['epochs']}, best on validation ({result['validation_top1']:.2%})"
    say(console, f"         with the {kept} of {best}")
    if rows := table_5(run.config.data.source):
        _print_table_5(rows, f"{result['params'] / 1e6:.1f}M params, {result['test_top1']:.1%}", run, console)
    files = "weights.safetensors, network.yaml, history.csv, curves.svg, result.json"
    say(console, f"Files    {run.path}: {files}")
    say(console, f"Next     {program()} export {shlex.quote(str(run.path))} onnx pt2 py")


def _print_table_5(rows: Sequence[TransferRow], reached: str, run: TrainingRun, console: Console) -> None:
    numbers = ("other top-1", "params", "EfficientNet top-1", "params ")
    table = plain_table("the paper's Table 5", "other", *numbers[:2], "EfficientNet", *numbers[2:], right=numbers)
    for row in rows:
        other_size, size = ("-" if count is None else f"{count}M" for count in (row.other_params_m, row.params_m))
        table.add_row(row.kind, row.other, f"{row.other_top1:.1f}%", other_size, row.ours, f"{row.top1:.1f}%", size)
    console.print(table)
    say(console, f"reached here: {run.network.name}, {reached}")
