"""The sections of a report on a full training: its accuracy, its classes, its curves and its worst mistakes."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.callback import Callback
from nas.core.documents import read_mapping
from nas.core.errors import InputError
from nas.core.program import program
from nas.core.version import package_version
from nas.report.chart import BLUE, GREY, ORANGE, Chart, new_chart, report_style
from nas.report.layout import Page, PageSection, Picture, Table
from nas.report.page import FILE, write_page
from nas.training.judgement import MISTAKES
from nas.training.run import CONFIG, HISTORY
from nas.weights.file import RESULT

_MOST_CELLS = 20  # classes of a confusion matrix that is drawn with its numbers


@dataclass(frozen=True)
class TrainingFacts:
    """The data of a training's folder.

    Attributes:
        path: the folder.
        result: the content of ``result.json``.
        history: one row of numbers for each epoch.
    """

    path: Path
    result: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]

    @classmethod
    def read(cls, path: Path) -> TrainingFacts:
        """Read a folder.

        Raises:
            InputError: if it is not the folder of a training that has ended.
        """
        result = read_mapping(path / RESULT)
        if "test_top1" not in result:
            raise InputError(
                f"report: '{path}' is a training's folder, but the training has not ended; go on with: "
                f"{program()} train --resume {shlex.quote(str(path))}"
            )
        text = (path / HISTORY).read_text(encoding="utf-8")
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
        return cls(path, result, rows)


def is_training(path: Path) -> bool:
    """Return whether a path is the folder of a training."""
    return (path / CONFIG).is_file()


def write_training_report(path: Path, target: Path | None = None) -> list[Path]:
    """Write the page of a training's folder; return the files.

    Args:
        path: the folder.
        target: path of the page; by default ``report.html`` in the folder.

    Raises:
        InputError: if the training has not ended.
        WorkError: if the page cannot be written.
    """
    facts = TrainingFacts.read(path)
    with report_style():
        page = Page(
            title=path.resolve().name,
            kind="A trained network",
            lead=training_lead(facts),
            sections=tuple(training_sections(facts)),
            footer=f"Written by nas {package_version()}. MACs are multiply-adds, which the papers call FLOPS.",
        )
        return write_page(page, [], target or path / FILE)


def draw_training_report(path: Path, callback: Callback) -> None:
    """Write a training's page. If this fails, only warn, because the training itself is not affected."""
    try:
        write_training_report(path)
    except Exception as error:
        callback.warning(f"{path / FILE} could not be drawn ({error}); the training is not affected")


def training_lead(facts: TrainingFacts) -> str:
    """Return the result of a training in one sentence."""
    result = facts.result
    interval = ""
    if "test_interval" in result:
        low, high = result["test_interval"]
        interval = f" (95% interval {low:.1%} to {high:.1%} for other images of the same kind)"
    stopped = f" It ended early: {result['stopped']}." if result.get("stopped") else ""
    return (
        f"{result['name']} reaches {result['test_top1']:.2%} of the {result['images']['test']:,} test images{interval}"
        f", at {result['macs']:,} MACs and {result['params']:,} params.{stopped}"
    )


def training_sections(facts: TrainingFacts) -> list[PageSection]:
    """Return the sections on a training: classes, mistakes and curves."""
    sections = [_classes(facts), _mistakes(facts), _curves(facts)]
    return [section for section in sections if section is not None]


def _classes(facts: TrainingFacts) -> PageSection | None:
    result = facts.result
    if "per_class" not in result:  # trained by an earlier version
        return None
    columns = ("class", "test images", "precision", "recall", "F1")
    rows = [
        (one["name"], f"{one['images']:,}", *(_percent(one[name]) for name in ("precision", "recall", "f1")))
        for one in result["per_class"]
    ]
    text = (
        f"Balanced accuracy {result['balanced_accuracy']:.2%} (mean recall), macro F1 {result['macro_f1']:.2%}. "
        f"Expected calibration error {result['calibration_error']:.1%}: the mean gap between the confidence of the "
        "network and the share of its predictions that are right."
    )
    table = Table("Each class", columns, rows, columns[1:], folded=len(rows) > _MOST_CELLS)
    chart = _confusion(result)
    confused = [(one["class"], one["predicted"], f"{one['images']:,}") for one in result.get("confused", ())]
    more = (Table("Most frequent confusions", ("class", "predicted", "images"), confused, ("images",), folded=True),)
    return PageSection(
        "classes",
        "What it gets right and wrong",
        (text,),
        (chart,) if chart else (),
        (table, *(more if confused else ())),
    )


def _confusion(result: Mapping[str, Any]) -> Chart | None:
    table = result.get("confusion")
    if not table:
        return None
    names = [one["name"] for one in result["per_class"]]
    shares = [[count / max(1, sum(row)) for count in row] for row in table]
    side = min(9.0, 1.6 + 0.34 * len(names))
    figure, axes = new_chart(side, max(3.6, side + 0.4))
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= _MOST_CELLS:
        for row, counts in enumerate(table):
            for column, count in enumerate(counts):
                colour = "white" if shares[row][column] > 0.55 else "black"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true class")
    caption = "Number of test images by true and predicted class; darker cells hold more of the true class."
    return Chart("confusion", "Confusion matrix", caption, figure, caption)


def _mistakes(facts: TrainingFacts) -> PageSection | None:
    path = facts.path / MISTAKES
    if not path.is_file() or not facts.result.get("mistakes"):
        return None
    told = "; ".join(
        f"{one['class']} taken for {one['predicted']} ({one['confidence']:.0%})" for one in facts.result["mistakes"][:6]
    )
    caption = "The wrong predictions with the highest confidence: predicted class and confidence, then the true class."
    picture = Picture("mistakes", path.read_bytes(), f"{caption} {told}.")
    return PageSection("mistakes", "The worst mistakes", (caption,), pictures=(picture,))


def _curves(facts: TrainingFacts) -> PageSection | None:
    if not facts.history:
        return None
    figure, (losses, scores) = new_chart(2.6, 6.6, columns=2)
    epochs = [row["epoch"] for row in facts.history]
    losses.plot(epochs, [row["loss"] for row in facts.history], color=BLUE, label="training")
    losses.plot(epochs, [row["raw_loss"] for row in facts.history], color=ORANGE, label="validation")
    scores.plot(epochs, [100 * row["raw_top1"] for row in facts.history], color=ORANGE, label="weights")
    if "ema_top1" in facts.history[0]:
        scores.plot(
            epochs, [100 * row["ema_top1"] for row in facts.history], color=GREY, label="average of the weights"
        )
    for axes, words in ((losses, "cross-entropy"), (scores, "validation accuracy, %")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(words)
        axes.legend(frameon=False)
    caption = "Loss and validation accuracy after every epoch. The weights of the best epoch are kept."
    return PageSection(
        "curves", "How it learned", charts=(Chart("curves", "Learning curves", caption, figure, caption, wide=True),)
    )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
