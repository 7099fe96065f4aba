"""Terminal output of a supernet's training: its progress, and its networks' accuracies at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from nas.cli.display.output import plain_table, say, say_files, say_next, show_table
from nas.cli.display.training_progress import TrainingProgress
from nas.core.units import format_quantity
from nas.evaluate.supernet.file import SHARED
from nas.training.history import column
from nas.training.run import TrainingRun

_JUDGED = ("largest", "random", "smallest")


class SupernetProgress(TrainingProgress):
    """Live display of a supernet's training: one line per epoch with the accuracies of three of its networks."""

    def _accuracies(self, row: Mapping[str, Any]) -> str:
        shown = "  ".join(f"{name} {float(row[f'{name}_{column(self.metric)}']):6.2%}" for name in _JUDGED)
        return f"{self._metric}: {shown}"


def print_supernet_result(run: TrainingRun, console: Console) -> None:
    """Print the accuracies of the largest, a random and the smallest network, and what to do next."""
    result = run.result() or {}
    table = plain_table(
        "network", "MACs", "params", "validation", "test", right=("MACs", "params", "validation", "test")
    )
    for name in _JUDGED:
        one = result["networks"][name]
        costs = (format_quantity(one[cost]) for cost in ("macs", "params"))
        table.add_row(name, *costs, *(f"{one[part]['top1']:.2%}" for part in ("validation", "test")))
    show_table(console, table)
    say(console, f"Weights  {format_quantity(result['shared_params'])} shared params, of epoch {result['best_epoch']}")
    if result["stopped"]:
        say(console, f"         ended after epoch {len(run.history())}: {result['stopped']}")
    say_files(console, [run.path / name for name in (SHARED, "history.csv", "curves.svg", "result.json")])
    say_next(console, "search", "--supernet", run.path)
