"""What is maximised on unbalanced folders, and what the user is told of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.core.records import Architecture
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.proxy.evaluator import ProxyEvaluator
from nas.evaluate.proxy.settings import ProxySettings
from nas.search_spaces.network import Network
from tests.conftest import write_images
from tests.toys import read_trials, run_nas

HERE = Architecture("tiny", (0,))


@pytest.fixture
def unbalanced(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", {"many": 160, "some": 40, "few": 10})
    return tmp_path


@pytest.mark.slow
def test_the_metric_that_is_asked_for_is_the_one_that_is_maximised(unbalanced: Path) -> None:
    options = ("--space", "own-images", "--data", "images", "--target-flops", "2M", "--workers", "0", "--trials", "2")
    short = ("--set", "data.resolution=16", "--set", "evaluator.epochs=1", "--metric", "balanced_accuracy")
    shown = run_nas("search", *options, *short, "--out", "run", cwd=unbalanced)
    assert "16 times as many training images" in shown.stdout and "class_weights" in shown.stdout
    for trial in read_trials(unbalanced / "run"):
        assert 0 <= trial["metrics"]["plain_accuracy"] <= 1
        found = trial["metrics"]["accuracy"], trial["metrics"]["plain_accuracy"]
        assert found[0] != found[1] or found == (1.0, 1.0)  # of unbalanced classes, they differ
    assert json.loads((unbalanced / "run" / "result.json").read_text())["test_accuracy"] <= 1


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "top5_accuracy"])
def test_metrics_of_one_training(unbalanced: Path, tiny_network: Network, metric: str) -> None:
    data = load_data(DataSettings(source=str(unbalanced / "images"), resolution=16))
    settings = ProxySettings(epochs=2, batch_size=16)
    plain = ProxyEvaluator(settings, data, "cpu").evaluate(HERE, tiny_network, seed=1)
    found = ProxyEvaluator(settings, data, "cpu", metric=metric).evaluate(HERE, tiny_network, seed=1)
    assert found["plain_accuracy"] == plain["accuracy"]
    if metric == "top5_accuracy":
        assert found["accuracy"] == 1.0  # of three classes
    else:
        assert found["accuracy"] == plain[metric]  # unbalanced folders show them anyway


def test_weighed_classes_are_found_more_often(unbalanced: Path, tiny_network: Network) -> None:
    """After a short training, rare classes are hardly ever predicted unless the loss weighs them."""
    data = load_data(DataSettings(source=str(unbalanced / "images"), resolution=16))
    found = {
        weighed: ProxyEvaluator(
            ProxySettings(epochs=2, batch_size=16, class_weights=weighed, learning_rate=0.002), data, "cpu"
        ).evaluate(HERE, tiny_network, seed=0)
        for weighed in (False, True)
    }
    assert found[True]["balanced_accuracy"] > found[False]["balanced_accuracy"]


def test_evaluators_without_predictions_have_no_other_metric(tmp_path: Path) -> None:
    options = ("--target-flops", "400M", "--trials", "3", "--metric", "macro_f1")
    told = run_nas("search", *options, cwd=tmp_path, check=2).stderr
    assert "objective.metric" in told and "'imagenet'" in told and "macro_f1" in told
