"""``result.json`` says the honest accuracy and the searched one, and files of earlier formats are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.search.result import FORMAT, RESULT, Result
from tests.toys import read_trials, run_nas

NETWORK: dict[str, Any] = {
    "macs": 1, "params": 1, "accuracy": 0.6, "accuracy_std": 0.1, "accuracy_longer": 0.7, "accuracy_longer_std": 0.1,
    "picked_by": 0.65, "optimism": 0.05, "extrapolated": False,
}  # fmt: skip
PREDICTED: dict[str, Any] = {
    "found": NETWORK, "efficientnet_b0": NETWORK, "gain": 0.0, "gain_interval": [-0.1, 0.1], "b0_inside": True,
    "b0_better_than": None, "sample": 9,
}  # fmt: skip
CONFIRMED: dict[str, Any] = {
    "epochs": 9, "accuracy": 0.8, "reward": 0.8, "tied": [], "seed_deviation": 0.01,
    "candidates": [{"number": 3, "accuracies": [0.8], "reward": 0.8, "spread_out": True}],
}  # fmt: skip


def written(folder: Path, **document: Any) -> Result:
    (folder / RESULT).write_text(json.dumps(document))
    found = Result.read(folder)
    assert found is not None
    return found


def test_what_is_written_is_read(tmp_path: Path) -> None:
    result = Result(number=3, accuracy=0.7, searched_accuracy=0.8, genes=(1, 2), confirmed=None)
    (tmp_path / RESULT).write_text(result.to_json())
    assert Result.read(tmp_path) == result
    assert json.loads(result.to_json())["format"] == FORMAT


def test_the_first_format_said_the_searched_accuracy(tmp_path: Path) -> None:
    found = written(tmp_path, number=3, accuracy=0.65, predicted=PREDICTED, confirmed=None)
    assert (found.accuracy, found.searched_accuracy, found.format) == (0.6, 0.65, FORMAT)
    found = written(tmp_path, number=3, accuracy=0.8, confirmed=CONFIRMED)
    assert (found.accuracy, found.searched_accuracy) == (0.8, None)
    assert found.confirmed is not None and found.confirmed.seed_std == 0.01 and found.confirmed.candidates[0].control


@pytest.mark.parametrize("text", ["{", "[]", '{"number": "x", "accuracy": 0.5}', '{"format": 99, "number": 3}'])
def test_a_damaged_or_newer_file_is_left_out_with_a_warning(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / RESULT).write_text(text)
    assert Result.read(tmp_path) is None
    assert "result.json" in caplog.text


def test_a_predicted_search_says_both_accuracies(tmp_path: Path) -> None:
    run_nas("search", "--target-flops", "400M", "--trials", "200", "--quiet", "--out", "run", cwd=tmp_path)
    result = Result.read(tmp_path / "run")
    assert result is not None and result.predicted is not None
    (trial,) = [trial for trial in read_trials(tmp_path / "run") if trial["number"] == result.number]
    assert result.searched_accuracy == trial["metrics"]["accuracy"]
    assert result.accuracy == result.predicted.found.accuracy != result.searched_accuracy
