"""TensorBoard reads what a training's history says, also of one that was interrupted."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.core.callback import SILENT
from nas.tracking.tensorboard_log import TensorBoardLog, events_of
from tests.conftest import write_images
from tests.toys import run_nas

pytestmark = pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events: Any = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.slow
def test_a_training_writes_its_history(tmp_path: Path, image_folder: Path) -> None:
    write_images(image_folder, {"red": 20, "green": 20, "blue": 20})
    small = ("--epochs", "2", "--batch-size", "8", "--resolution", "32", "--recipe", "small-images")
    result = run_nas(
        "train", "mobilenet_v3_small", "--data", "images", *small, "--tensorboard", "--out", "t", cwd=tmp_path
    )
    assert "tensorboard --logdir t/tensorboard" in result.stdout
    with (tmp_path / "t" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = scalars(tmp_path / "t" / "tensorboard")
    for tag, column in {
        "loss/train": "loss",
        "validation/top1": "raw_top1",
        "training/learning_rate": "learning_rate",
    }.items():
        assert [step for step, _ in found[tag]] == [1, 2]
        assert [value for _, value in found[tag]] == pytest.approx([float(row[column]) for row in rows])


def test_an_epoch_that_is_trained_again_is_shown_once(tmp_path: Path) -> None:
    first = TensorBoardLog(tmp_path, 1)
    for epoch in (1, 2, 3):
        first.epoch_finished({"epoch": epoch, "loss": epoch})
    first.close()
    second = TensorBoardLog(tmp_path, 3)
    for epoch in (3, 4):
        second.epoch_finished({"epoch": epoch, "loss": 10 * epoch})
    second.close()
    assert scalars(tmp_path / "tensorboard")["loss/train"] == [(1, 1), (2, 2), (3, 30), (4, 40)]


def test_events_that_cannot_be_written_stop_no_training(tmp_path: Path) -> None:
    class Training:
        path = tmp_path
        config = SimpleNamespace(tensorboard=True)

        def history(self) -> list[Any]:
            return []

    (tmp_path / "tensorboard").write_text("a file in the way")
    with events_of(Training(), SILENT) as given:  # type: ignore[arg-type]
        assert given is SILENT
