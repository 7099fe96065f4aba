"""The best epoch of a training, by the metric that it maximises."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml
from nas.training.history import better, epochs_since_best, is_best, read_table, table, value
from nas.training.trainer import Trainer
from tests.conftest import write_images
from tests.toys import run_nas
from tests.training.test_trainer import RECIPE, data

ROWS = [
    {"raw_top1": 0.9, "raw_macro_f1": 0.2, "ema_top1": 0.7, "ema_macro_f1": 0.3},
    {"raw_top1": 0.8, "raw_macro_f1": 0.6, "ema_top1": 0.8, "ema_macro_f1": 0.5},
]


def test_each_metric_has_its_own_best_epoch() -> None:
    assert [value(row) for row in ROWS] == [0.9, 0.8]
    assert [value(row, "macro_f1") for row in ROWS] == [0.3, 0.6]
    assert [better(row) for row in ROWS] == ["raw", "ema"]
    assert [better(row, "macro_f1") for row in ROWS] == ["ema", "raw"]
    assert not is_best(ROWS, "accuracy") and is_best(ROWS, "macro_f1")
    assert epochs_since_best(ROWS, "accuracy") == 1 and epochs_since_best(ROWS, "macro_f1") == 0


def test_rows_without_an_average_and_as_text() -> None:
    rows = read_table(table([{"epoch": 1, "raw_top1": 0.25}]))
    assert value(rows[0]) == 0.25 and better(rows[0]) == "raw"


def test_a_score_equals_the_metrics_of_the_predictions(tiny_network: Network) -> None:
    torch.manual_seed(0)
    one = Trainer(build(tiny_network), data(), RECIPE, 16, seed=1)
    for part in ("train", "test"):
        found, metrics = one.scores(part)["raw"], one.predictions(part).metrics()
        assert found.top1 == pytest.approx(metrics["accuracy"])
        assert found.balanced_accuracy == pytest.approx(metrics["balanced_accuracy"])
        assert found.macro_f1 == pytest.approx(metrics["macro_f1"])


def test_a_training_keeps_the_best_epoch_of_the_asked_metric(tmp_path: Path, tiny_network: Network) -> None:
    write_images(tmp_path / "images", {"red": 40, "green": 41, "blue": 20})
    (tmp_path / "tiny.yaml").write_text(network_to_yaml(tiny_network))
    options = ("--data", "images", "--resolution", "16", "--epochs", "4", "--set", "recipe.threads=1")
    shown = run_nas("train", "tiny.yaml", *options, "--metric", "macro_f1", "--out", "out", cwd=tmp_path).stdout
    rows = list(csv.DictReader((tmp_path / "out" / "history.csv").open()))
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["metric"] == "macro_f1"
    assert result["validation"] == max(value(row, "macro_f1") for row in rows)
    assert value(rows[result["best_epoch"] - 1], "macro_f1") == result["validation"]
    assert f"macro f1 {result['validation']:.2%}" in shown
