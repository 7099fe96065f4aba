"""``nas train`` as people run it: killed, resumed, fine-tuned, and on several processes."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from nas.cli.app import app
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml
from tests.conftest import write_images
from tests.toys import run_nas, start_nas

FLAGS = ("--recipe", "small-images", "--resolution", "16", "--batch-size", "8", "--epochs", "6")


@pytest.fixture
def place(image_folder: Path, tiny_network: Network) -> Path:
    """A folder with images and a small network."""
    (image_folder.parent / "small.yaml").write_text(network_to_yaml(tiny_network))
    return image_folder.parent


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return start_nas("train", *arguments, cwd=cwd)


def wait_for_epochs(run: Path, count: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (run / "history.csv").exists() and len((run / "history.csv").read_text().splitlines()) > count:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {count} epochs in {run}")


def history(run: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def train(*arguments: str, cwd: Path) -> str:
    return run_nas("train", *arguments, cwd=cwd).stdout


@pytest.mark.slow
def test_interrupted_and_killed_it_ends_as_if_nothing_had_happened(place: Path) -> None:
    flags = ("small.yaml", "--data", "images", *FLAGS, "--epochs", "40")
    shown = train(*flags, "--out", "whole", cwd=place)
    assert "epoch  40/40" in shown and "Test     top-1" in shown
    program = start(*flags, "--out", "broken", cwd=place)
    wait_for_epochs(place / "broken", 2)
    program.send_signal(signal.SIGINT)
    output = program.communicate(timeout=60)[0]
    assert program.returncode == 130 and "nas train --resume broken" in output, output
    assert len(history(place / "broken")) < 40
    program = start("--resume", "broken", cwd=place)
    wait_for_epochs(place / "broken", len(history(place / "broken")) + 2)
    program.kill()
    program.communicate(timeout=60)
    train("--resume", "broken", cwd=place)
    assert history(place / "broken") == history(place / "whole")
    weights = [(place / name / "weights.safetensors").read_bytes() for name in ("whole", "broken")]
    assert weights[0] == weights[1]
    results = [json.loads((place / name / "result.json").read_text()) for name in ("whole", "broken")]
    assert {**results[0], "seconds": 0} == {**results[1], "seconds": 0}
    assert results[0]["test_top1"] > 0.6 and results[0]["best_weights"] == "weights.safetensors"
    assert "has ended: test top-1" in train("--resume", "broken", cwd=place)


@pytest.mark.slow
def test_other_images_are_not_trained_on(place: Path) -> None:
    """Renamed classes are other labels, though there are as many of them."""
    train("small.yaml", "--data", "images", *FLAGS, "--out", "run", cwd=place)
    (place / "run" / "result.json").unlink()
    (place / "images" / "red").rename(place / "images" / "a")
    refused = run_nas("train", "--resume", "run", cwd=place, check=2).stderr
    assert "have changed since then: classes added: a; classes gone: red" in refused


@pytest.mark.slow
def test_fine_tuning_takes_the_body_and_replaces_the_head(place: Path) -> None:
    train("small.yaml", "--data", "images", *FLAGS, "--out", "first", cwd=place)
    write_images(place / "two", {"left": 10, "right": 10}, side=15)  # other images than those of the first training
    shown = train(
        "small.yaml", "--data", "two", "--init", "first", "--epochs", "1", "--set", "recipe.learning_rate=1.0e-9",
        "--set", "recipe.ema=null", "--resolution", "12", "--batch-size", "8", "--out", "second", cwd=place,
    )  # fmt: skip
    assert "head replaced: 2 classes" in shown and "counted at 12 px with 2 classes" in shown
    before, after = (load_file(place / name / "weights.safetensors") for name in ("first", "second"))
    assert after["classifier.weight"].shape == (2, 32)
    assert (after["stem.0.weight"] - before["stem.0.weight"]).abs().max() < 1e-6
    shown = train("small.yaml", "--data", "images", *FLAGS, "--epochs", "1", "--init", "first", "--out", "c", cwd=place)
    assert "head kept" in shown
    assert "network" in run_nas("show", "second", "--json", cwd=place).stdout


def test_mistakes_are_told_before_anything_is_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "taken").mkdir()
    (place / "taken" / "file").write_text("mine")
    mistakes = [
        ((), "expected a network"),
        (("small.yaml",), "--data is missing"),
        (("small.yaml", "--data", "images", "--recipe", "modren"), "did you mean 'modern'"),
        (("small.yaml", "--data", "images", "--out", "taken"), "'taken' is not empty"),
        (("small.yaml", "--data", "images", "--init", "absent"), "absent', which does not exist"),
        (("small.yaml", "--data", "images", "--init", "torchvision"), "torchvision has no weights for 'network'"),
        (("small.yaml", "--data", "images", "--set", "recipe.optimiser=sgd"), "did you mean 'optimizer'"),
        (("efficientnet_b0", "--data", "images", "--resolution", "2"), "use a higher resolution"),
        (("small.yaml", "--data", "images", "--batch-size", "3", "--workers", "2"), "4 in all"),
        (("small.yaml", "--data", "images", "--set", "data.resolution=9"), "give --resolution"),
        (("--resume", "taken"), "has no train.yaml"),
        (("--resume", "taken", "--epochs", "3"), "leave out --epochs"),
    ]
    for arguments, words in mistakes:
        result = CliRunner().invoke(app, ["train", *arguments])
        assert result.exit_code == 2 and words in result.output, (arguments, result.output)
    assert not (place / "trained").exists()


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_doubled_batch(place: Path) -> None:
    """Gradients are averaged over what both saw; BatchNorm is frozen, for each process would see half of a batch."""
    still = ("--set", "recipe.freeze_batch_norm=true", "--set", "recipe.dropout=0", "--set", "recipe.drop_connect=0")
    train("small.yaml", "--data", "images", *FLAGS, "--out", "first", cwd=place)
    flags = ("small.yaml", "--data", "images", *FLAGS, *still, "--init", "first", "--set", "recipe.augment=rand")
    train(*flags, "--out", "one", cwd=place)
    train(*flags, "--out", "two", "--workers", "2", cwd=place)
    one, two = history(place / "one"), history(place / "two")
    assert len(one) == len(two) == 6
    for alone, shared in zip(one, two, strict=True):
        for key in ("loss", "raw_loss", "ema_loss"):
            assert float(shared[key]) == pytest.approx(float(alone[key]), rel=1e-4)
    weights = [load_file(place / name / "weights.safetensors") for name in ("one", "two")]
    assert all((weights[0][name] - weights[1][name]).abs().max() < 1e-3 for name in weights[0])


@pytest.mark.slow
def test_a_mistake_that_a_process_finds_is_not_tried_again(place: Path) -> None:
    """And leaves no folder behind."""
    train("small.yaml", "--data", "images", *FLAGS, "--epochs", "1", "--out", "first", cwd=place)
    weights = (place / "first" / "weights.safetensors").read_bytes()
    flags = ("small.yaml", "--data", "images", *FLAGS, "--workers", "2", "--init", "first", "--out", "second")
    program = start(*flags, cwd=place)
    end = time.monotonic() + 60
    while not (place / "second" / "train.yaml").exists() and time.monotonic() < end:
        time.sleep(0.01)
    (place / "first" / "weights.safetensors").write_bytes(weights[:100])  # gone before the processes read it
    output = program.communicate(timeout=120)[0]
    assert program.returncode == 2 and output.count("is not a weights file of mnas") == 1, output
    assert not (place / "second").exists()


@pytest.mark.slow
def test_processes_that_are_interrupted_save_and_go_on(place: Path) -> None:
    flags = ("small.yaml", "--data", "images", *FLAGS, "--epochs", "400")
    program = start(*flags, "--out", "run", "--workers", "2", cwd=place)
    wait_for_epochs(place / "run", 2)
    program.send_signal(signal.SIGINT)
    output = program.communicate(timeout=120)[0]
    assert program.returncode == 130 and "is saved; resume with" in output, output
    done = len(history(place / "run"))
    assert 2 <= done < 400 and json.loads((place / "run" / "checkpoint.json").read_text())["epoch"] >= done
    config = (place / "run" / "train.yaml").read_text().replace("epochs: 400", f"epochs: {done + 3}")
    (place / "run" / "train.yaml").write_text(config)
    train("--resume", "run", cwd=place)
    assert len(history(place / "run")) == done + 3
