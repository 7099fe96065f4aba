"""What a classifier said about every image of a split, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15  # of the expected calibration error (Guo et al. 2017, arXiv 1706.04599, section 2)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions for ``n`` images.

    Attributes:
        labels: true classes, ``(n,)`` int64.
        predicted: classes with the largest logit, ``(n,)`` int64.
        confidence: softmax probability of the predicted class, ``(n,)`` float32.
        in_top5: whether the true class has one of the five largest logits, ``(n,)`` bool.
        classes: number of classes.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    in_top5: NDArray[np.bool_]
    classes: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each image is classified correctly, ``(n,)``."""
        return np.asarray(self.labels == self.predicted)

    def metrics(self) -> dict[str, float]:
        """Return accuracy, balanced accuracy, macro F1 and top-5 accuracy, as fractions."""
        return {
            "accuracy": float(self.correct.mean()),
            "balanced_accuracy": _mean_of_known(self.recalls()),
            "macro_f1": _mean_of_known(self.f1_scores()),
            "top5_accuracy": float(self.in_top5.mean()),
        }

    def confusion(self) -> NDArray[np.int64]:
        """Return the number of images by true class (row) and predicted class (column), ``(classes, classes)``."""
        places = self.labels * self.classes + self.predicted
        return np.bincount(places, minlength=self.classes**2).reshape(self.classes, self.classes)

    def recalls(self) -> NDArray[np.float64]:
        """Return the share of each class's images that is found, ``(classes,)``; NaN for classes without images."""
        table = self.confusion()
        return _ratio(np.diag(table), table.sum(1))

    def precisions(self) -> NDArray[np.float64]:
        """Return the share of each predicted class that is right, ``(classes,)``; NaN if it is never predicted."""
        table = self.confusion()
        return _ratio(np.diag(table), table.sum(0))

    def f1_scores(self) -> NDArray[np.float64]:
        """Return each class's F1 score, ``(classes,)``; NaN for classes without images."""
        table = self.confusion()
        scores = _ratio(2 * np.diag(table), table.sum(0) + table.sum(1))
        scores[table.sum(1) == 0] = np.nan
        return scores

    def calibration_error(self) -> float:
        """Return the expected calibration error: the mean gap between confidence and accuracy over 15 bins.

        (Guo et al. 2017, arXiv 1706.04599, equation 3.)
        """
        bins = np.minimum((self.confidence * BINS).astype(np.int64), BINS - 1)
        gaps = np.bincount(bins, self.correct.astype(np.float64) - self.confidence, minlength=BINS)
        return float(np.abs(gaps).sum() / len(self.labels))

    def worst(self, count: int) -> NDArray[np.int64]:
        """Return the places of the wrong predictions with the highest confidence, at most ``count``, worst first."""
        wrong = np.flatnonzero(~self.correct)
        order = np.argsort(-self.confidence[wrong], kind="stable")
        return wrong[order][:count]


def pack(correct: NDArray[np.bool_]) -> str:
    """Return flags as hexadecimal text, four in each digit, for a line of JSON."""
    return np.packbits(correct).tobytes().hex()


def unpack(text: str, count: int) -> NDArray[np.bool_]:
    """Return the ``count`` flags that ``pack`` wrote.

    Raises:
        ValueError: if the text holds fewer.
    """
    flags = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(np.bool_)
    if len(flags) < count:
        raise ValueError(f"expected {count} flags, got {len(flags)}")
    return flags[:count]


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _mean_of_known(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
