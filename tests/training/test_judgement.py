"""What a trained network is judged by, and what ends or weighs a training."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas.core.statistics import wilson_interval
from nas.evaluate.predictions import Predictions, unpack
from nas.evaluate.proxy.step import EagerStep, class_weights
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml
from nas.training.judgement import judge
from nas.training.recipe import Recipe, epochs_for
from tests.conftest import write_images
from tests.toys import run_nas

FLAGS = ("--recipe", "small-images", "--resolution", "16", "--batch-size", "8")


@pytest.fixture
def place(tmp_path: Path, tiny_network: Network) -> Path:
    write_images(tmp_path / "images", {"red": 40, "green": 41, "blue": 40})
    (tmp_path / "small.yaml").write_text(network_to_yaml(tiny_network))
    return tmp_path


def test_a_training_ends_with_everything_people_judge_it_by(place: Path) -> None:
    shown = run_nas("train", "small.yaml", "--data", "images", *FLAGS, "--epochs", "3", "--out", "t", cwd=place).stdout
    result = json.loads((place / "t" / "result.json").read_text())
    count = result["images"]["test"]
    assert result["test_interval"] == pytest.approx(wilson_interval(result["accuracy"], count))
    assert [one["name"] for one in result["per_class"]] == ["blue", "green", "red"]
    table = np.array(result["confusion"])
    assert table.sum() == count and np.trace(table) == round(result["accuracy"] * count)
    assert [one["images"] for one in result["per_class"]] == table.sum(1).tolist()
    assert unpack(result["correct"], count).sum() == np.trace(table)
    assert 0 <= result["calibration_error"] <= 1 and result["stopped"] == ""
    assert len(result["mistakes"]) == min(24, count - np.trace(table))
    page = (place / "t" / "report.html").read_text()
    for text in ("Confusion matrix", "Learning curves", "Expected calibration error", "95% interval"):
        assert text in page
    assert ("The worst mistakes" in page) is bool(result["mistakes"]) is (place / "t" / "mistakes.png").exists()
    assert "balanced accuracy" in shown and f"of {count} images" in shown


@pytest.mark.slow
def test_patience_ends_a_training_that_no_longer_improves(place: Path) -> None:
    slow = ("--epochs", "30", "--set", "recipe.patience=2", "--set", "recipe.learning_rate=1e-9")
    shown = run_nas("train", "small.yaml", "--data", "images", *FLAGS, *slow, "--out", "t", cwd=place).stdout
    result = json.loads((place / "t" / "result.json").read_text())
    rows = list(csv.DictReader((place / "t" / "history.csv").read_text().splitlines()))
    assert len(rows) < 30 and result["stopped"] == "no better validation accuracy for 2 epochs"
    scores = [max(float(row["raw_top1"]), float(row["ema_top1"])) for row in rows]
    assert len(rows) - 1 - scores.index(max(scores)) == 2
    assert "no better validation accuracy for 2 epochs" in shown


def test_many_classes_list_their_confusions_instead_of_a_matrix() -> None:
    classes = [f"class {number}" for number in range(120)]
    labels = np.arange(240) % 120
    predicted = np.where(labels < 2, 7, labels)
    one = Predictions(labels, predicted, np.full(240, 0.9, np.float32), labels == predicted, 120)
    found = judge(one, classes)
    assert "confusion" not in found
    assert found["confused"] == [
        {"class": "class 0", "predicted": "class 7", "images": 2},
        {"class": "class 1", "predicted": "class 7", "images": 2},
    ]
    assert found["per_class"][7]["recall"] == 1 and found["per_class"][7]["precision"] == pytest.approx(2 / 6)
    assert found["per_class"][0]["precision"] is None


def test_class_weights_make_rare_classes_count_as_much() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    weights = class_weights(labels, 3)
    assert weights.tolist() == pytest.approx([100 / 180, 5.0, 0.0])
    assert (weights[0] * 90).item() == pytest.approx((weights[1] * 10).item())
    assert weights[torch.from_numpy(labels)].mean().item() == pytest.approx(1.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighed_loss_of_indices_and_of_probabilities_agree(smoothing: float) -> None:
    module = nn.Linear(4, 3)
    recipe = Recipe(label_smoothing=smoothing)
    step = EagerStep(
        module, torch.optim.SGD(module.parameters(), lr=0.1), recipe, 3, None, torch.tensor([1.0, 2.0, 0.5])
    )
    logits, labels = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
    hard = step._loss_of(logits, labels)
    soft = step._loss_of(logits, nn.functional.one_hot(labels, 3).float())
    assert hard.item() == pytest.approx(soft.item(), rel=1e-5)
    plain = EagerStep(module, torch.optim.SGD(module.parameters(), lr=0.1), recipe, 3, None)
    ones = EagerStep(module, torch.optim.SGD(module.parameters(), lr=0.1), recipe, 3, None, torch.ones(3))
    assert ones._loss_of(logits, labels).item() == pytest.approx(plain._loss_of(logits, labels).item(), rel=1e-5)
    assert hard.item() != pytest.approx(plain._loss_of(logits, labels).item(), rel=1e-3)


def test_the_time_decides_the_epochs_up_to_a_limit() -> None:
    recipe = Recipe(batch_size=64, learning_rate=0.008, weight_decay=0.01)
    assert epochs_for(recipe, 7, 1000).epochs == 7
    assert epochs_for(recipe, 10**6, 1000).epochs == 320
    assert epochs_for(recipe, 10**6, 50_000).epochs == 300
    assert epochs_for(recipe, 7, 1000).learning_rate > 0.008 == epochs_for(recipe, 7, 50_000).learning_rate
    assert epochs_for(recipe, 0, 1000).epochs == 1


def test_many_passes_over_few_images_mix_them() -> None:
    short, long = (epochs_for(Recipe(batch_size=64), epochs, 1000) for epochs in (60, 250))
    assert short.mixup == short.cutmix == 0
    assert long.mixup > 0 and long.cutmix > 0
