"""The plot of a training: loss and accuracies over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.core.figures import new_figure, own_style, write_figure


@own_style()
def write_curves(path: Path, history: Sequence[dict[str, Any]], title: str) -> None:
    """Draw a training's history as SVG.

    Raises:
        WorkError: if it cannot be written.
    """
    figure, (losses, accuracies) = new_figure(1, 2, size=(10, 4))
    epochs = [row["epoch"] for row in history]
    losses.plot(epochs, [row["loss"] for row in history], label="training")
    for name, style in (("raw", "-"), ("ema", "--")):
        if f"{name}_top1" in history[0]:
            losses.plot(epochs, [row[f"{name}_loss"] for row in history], style, label=f"validation, {name}")
            accuracies.plot(epochs, [100 * row[f"{name}_top1"] for row in history], style, label=f"top-1, {name}")
            accuracies.plot(epochs, [100 * row[f"{name}_top5"] for row in history], style, label=f"top-5, {name}")
    losses.set(xlabel="epoch", ylabel="cross-entropy", title=title)
    accuracies.set(xlabel="epoch", ylabel="validation accuracy, %")
    for axes in (losses, accuracies):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    write_figure(path, figure)
