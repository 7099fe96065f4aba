"""The figures that follow from predictions, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sklearn import metrics

from nas.evaluate.predictions import Predictions, pack, unpack


def predictions(seed: int, count: int = 200, classes: int = 6) -> Predictions:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes - 1, count)  # one class has no images
    predicted = np.where(generator.random(count) < 0.6, labels, generator.integers(0, classes, count))
    confidence = generator.uniform(1 / classes, 1, count).astype(np.float32)
    return Predictions(labels, predicted, confidence, labels == predicted, classes)


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_scikit_learns(seed: int) -> None:
    one = predictions(seed)
    found, known = one.metrics(), np.unique(one.labels)
    assert found["accuracy"] == metrics.accuracy_score(one.labels, one.predicted)
    assert found["balanced_accuracy"] == pytest.approx(
        metrics.recall_score(one.labels, one.predicted, labels=known, average="macro")
    )
    assert found["macro_f1"] == pytest.approx(
        metrics.f1_score(one.labels, one.predicted, labels=known, average="macro", zero_division=0)
    )
    assert (one.confusion() == metrics.confusion_matrix(one.labels, one.predicted, labels=range(6))).all()
    assert one.confusion().sum() == len(one.labels)
    assert np.isnan(one.recalls()[5]) and np.isnan(one.f1_scores()[5])


def test_calibration_error_is_the_mean_gap() -> None:
    labels, confidence = np.zeros(100, np.int64), np.full(100, 0.8, np.float32)
    predicted = np.where(np.arange(100) < 60, 0, 1)
    one = Predictions(labels, predicted, confidence, labels == predicted, 2)
    assert one.calibration_error() == pytest.approx(0.2, abs=1e-6)
    sure = Predictions(labels, labels, np.ones(100, np.float32), labels == labels, 2)
    assert sure.calibration_error() == 0


def test_worst_mistakes_are_wrong_and_sure() -> None:
    one = predictions(3)
    worst = one.worst(10)
    assert len(worst) == 10 and not one.correct[worst].any()
    assert (np.diff(one.confidence[worst]) <= 0).all()
    assert one.confidence[worst[-1]] >= np.delete(one.confidence[~one.correct], 0).min()


@given(some.lists(some.booleans(), max_size=70))
def test_flags_come_back_from_text(flags: list[bool]) -> None:
    assert unpack(pack(np.array(flags, dtype=bool)), len(flags)).tolist() == flags


def test_too_short_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 9 flags, got 8"):
        unpack("ff", 9)
