"""What people judge a trained network by: accuracy with an interval, each class, calibration, the worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.figures import new_figure, own_style, write_figure
from nas.core.statistics import wilson_interval
from nas.evaluate.data.image_data import Part
from nas.evaluate.predictions import Predictions

MISTAKES = "mistakes.png"
_WORST = 24  # mistakes that are shown
_MOST_CLASSES = 100  # of a confusion matrix that is stored whole
_CONFUSED = 50  # most frequent confusions that are stored for more classes
_COLUMNS = 6
_MOST_LETTERS = 14  # of a class name under a picture


def judge(predictions: Predictions, classes: Sequence[str]) -> dict[str, Any]:
    """Return the figures of ``result.json``, as plain values.

    Fractions; ``None`` where a class has no images, or is never predicted. ``confusion`` holds the number of images by
    true class (row) and predicted class (column); with more than 100 classes, ``confused`` holds the most frequent
    confusions instead. ``mistakes`` are the wrong predictions with the highest confidence.
    """
    metrics = predictions.metrics()
    low, high = wilson_interval(metrics["accuracy"], len(predictions.labels))
    table = predictions.confusion()
    rows = zip(
        classes,
        table.sum(1).tolist(),
        map(_plain, predictions.precisions()),
        map(_plain, predictions.recalls()),
        map(_plain, predictions.f1_scores()),
        strict=True,
    )
    names = ("name", "images", "precision", "recall", "f1")
    worst = predictions.worst(_WORST)
    return {
        "test_interval": [low, high],
        "balanced_accuracy": metrics["balanced_accuracy"],
        "macro_f1": metrics["macro_f1"],
        "calibration_error": predictions.calibration_error(),
        "per_class": [dict(zip(names, row, strict=True)) for row in rows],
        **({"confusion": table.tolist()} if len(classes) <= _MOST_CLASSES else {"confused": _confused(table, classes)}),
        "mistakes": [
            {
                "place": int(place),
                "class": classes[predictions.labels[place]],
                "predicted": classes[predictions.predicted[place]],
                "confidence": float(predictions.confidence[place]),
            }
            for place in worst
        ],
    }


@own_style()
def write_mistakes(path: Path, part: Part, predictions: Predictions, classes: Sequence[str]) -> bool:
    """Draw the worst mistakes as thumbnails; each names the predicted class and, below, the true one.

    Returns False, and draws nothing, if there are none.

    Raises:
        WorkError: if the file cannot be written.
    """
    worst = predictions.worst(_WORST)
    if not len(worst):
        return False
    rows = math.ceil(len(worst) / _COLUMNS)
    figure, axes = new_figure(rows, _COLUMNS, (1.35 * _COLUMNS, 1.75 * rows))
    for one in np.atleast_1d(axes).flat:
        one.set_axis_off()
    for one, place in zip(np.atleast_1d(axes).flat, worst, strict=False):
        one.imshow(part.array[part.rows[place]], interpolation="nearest")
        guess, truth = (_short(classes[index[place]]) for index in (predictions.predicted, predictions.labels))
        one.set_title(f"{guess} {predictions.confidence[place]:.0%}\nis {truth}", fontsize=8, parse_math=False)
    write_figure(path, figure)
    return True


def _confused(table: NDArray[np.int64], classes: Sequence[str]) -> list[dict[str, Any]]:
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSED]
    rows, columns = np.unravel_index(places, wrong.shape)
    return [
        {"class": classes[row], "predicted": classes[column], "images": int(wrong[row, column])}
        for row, column in zip(rows, columns, strict=True)
        if wrong[row, column]
    ]


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _short(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"
