"""``nas supernet train`` and what follows from it, as people run it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from nas.cli.app import app
from nas.core.documents import to_yaml
from nas.core.records import Architecture
from nas.evaluate.supernet.file import SharedWeights
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.yaml_format import network_to_yaml
from tests.cli.test_train import history, wait_for_epochs
from tests.conftest import write_images
from tests.toys import TINY_FORM, read_trials, run_nas, start_nas

GENES = (1, 1, 1, 1, 1)
FLAGS = ("tiny.yaml", "--data", "images", "--recipe", "small-images", "--batch-size", "8", "--epochs", "4")


@pytest.fixture
def place(image_folder: Path) -> Path:
    """A folder with images and a small space."""
    (image_folder.parent / "tiny.yaml").write_text(to_yaml(TINY_FORM))
    return image_folder.parent


def test_from_a_supernet_to_a_fine_tuned_network(place: Path) -> None:
    shown = run_nas("supernet", "train", *FLAGS, "--out", "net", cwd=place).stdout
    assert "Supernet tiny: networks of" in shown and "Time     about" in shown and "epoch   4/4" in shown
    assert "search --supernet net" in shown
    result = json.loads((place / "net" / "result.json").read_text())
    macs = {name: one["macs"] for name, one in result["networks"].items()}
    assert macs["smallest"] < macs["largest"] and macs["smallest"] <= macs["random"] <= macs["largest"]
    shown = run_nas(
        "search", "--supernet", "net", "--trials", "5", "--workers", "0", "--controller", "random", "--out", "run",
        "--report", cwd=place,
    ).stdout  # fmt: skip
    page = (place / "run" / "report.html").read_text()
    assert "All networks were scored with the weights of one supernet" in page and "weights.safetensors" in page
    assert "has not been measured; nas trust --supernet" in page
    assert "with the supernet's weights; not used by the search" in shown and "run/weights.safetensors" in shown
    assert "train run --data" in shown and "Worth it?" not in shown
    assert all(trial["status"] == "ok" for trial in read_trials(place / "run"))
    best = json.loads((place / "run" / "result.json").read_text())
    trial = next(one for one in read_trials(place / "run") if one["number"] == best["number"])
    again = run_nas("train", "run", "--epochs", "1", "--set", "recipe.learning_rate=1.0e-9", "--set",
                    "recipe.ema=null", "--batch-size", "8", "--out", "tuned", cwd=place).stdout  # fmt: skip
    assert "head kept" in again and "run/weights.safetensors" in again
    assert "Teacher  the largest network of the supernet" in again and "50% of the loss" in again
    (row,) = history(place / "tuned")
    assert float(row["raw_top1"]) == pytest.approx(trial["metrics"]["accuracy"], abs=0.1)
    before, after = (load_file(place / name / "weights.safetensors") for name in ("run", "tuned"))
    assert (after["stem.0.weight"] - before["stem.0.weight"]).abs().max() < 1e-6
    assert "largest difference" in run_nas("export", "run", "onnx", "--out", "out", cwd=place).stdout
    shown = run_nas("train", "run", "--init", "none", "--teacher", "tuned", "--epochs", "1", "--batch-size", "8",
                    "--recipe", "small-images", "--resolution", "16", "--out", "new", cwd=place).stdout  # fmt: skip
    assert "head kept" not in shown and "Teacher  'run-baseline' of" in shown
    refused = run_nas("train", "run", "--teacher", "efficientnet_b0", "--out", "no", cwd=place, check=2)
    assert "no weights of its own" in refused.stderr and not (place / "no").exists()
    write_images(place / "others", {"blue": 12, "green": 12, "red": 12}, side=16)
    for arguments, told in [
        (("--data", "others"), "--supernet: the images of"),
        (("--space", "mnasnet"), "it is of space 'tiny'"),
        (("--confirm", "2"), "nothing can be trained again"),
    ]:
        refused = run_nas("search", "--supernet", "net", *arguments, "--out", "no", cwd=place, check=2)
        assert told in refused.stderr, refused.stderr
        assert not (place / "no").exists()


def test_mistakes_are_told_before_anything_is_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "built.py").write_text("class Built:\n    name, gene_sizes = 'built', (2, 2)\n")
    for arguments, told in [
        ((), "expected a space"),
        (("tiny.yaml",), "--data is missing"),
        (("built.py:Built", "--data", "images"), "has no stage tables"),
        (("tiny.yaml", "--data", "images", "--target-flops", "90M"), "holds no network with"),
        (("tiny.yaml", "--data", "images", "--target-flops", "much"), "much"),
        (("tiny.yaml", "--data", "images", "--set", "recipe.head_rate=5"), "one learning rate"),
        (("tiny.yaml", "--data", "images", "--init", "torchvision"), "--init: expected a training's folder"),
        (("--resume", "nowhere"), "has no train.yaml"),
        (("tiny.yaml", "--resume", "nowhere"), "leave out tiny.yaml"),
    ]:
        out = ["--out", "net"] if arguments and "--resume" not in arguments else []
        found = CliRunner().invoke(app, ["supernet", "train", *arguments, *out])
        assert found.exit_code == 2 and told in found.output, (arguments, found.output)
        assert not (place / "net").exists()


@pytest.mark.slow
def test_a_trained_network_becomes_a_supernet(place: Path) -> None:
    """With almost no learning rate, its accuracy with shared weights stays what it was."""
    flags = ("--batch-size", "8", "--recipe", "small-images")
    (place / "one.yaml").write_text(network_to_yaml(StageTableSpace(TINY_FORM).decode(Architecture("tiny", GENES))))
    run_nas("train", "one.yaml", "--data", "images", *flags, "--epochs", "12", "--resolution", "16", "--out", "one",
            cwd=place)  # fmt: skip
    shown = run_nas(
        "supernet", "train", "tiny.yaml", "--data", "images", "--init", "one", *flags, "--epochs", "1", "--set",
        "recipe.learning_rate=1.0e-9", "--set", "recipe.ema=null", "--out", "net", cwd=place,
    ).stdout  # fmt: skip
    assert "placed as" in shown
    weights = SharedWeights.read(place / "net" / "supernet.safetensors")
    shared = weights.supernet(StageTableSpace(TINY_FORM)).tensors(Architecture("tiny", GENES))
    own = load_file(place / "one" / "weights.safetensors")
    assert all((shared[name] - own[name]).abs().max() < 1e-5 for name in own if name.endswith("0.weight"))
    (place / "net" / "result.json").unlink()
    (place / "one" / "weights.safetensors").rename(place / "gone")
    run_nas("supernet", "train", "--resume", "net", cwd=place)  # its checkpoint has all that it needs
    assert "is a supernet; find a network with" in run_nas("export", "net", "onnx", cwd=place, check=2).stderr
    (place / "two.yaml").write_text((place / "one.yaml").read_text().replace("kernel: 5", "kernel: 7"))
    run_nas("train", "two.yaml", "--data", "images", *flags, "--epochs", "1", "--resolution", "16", "--out", "two",
            cwd=place)  # fmt: skip
    refused = run_nas("supernet", "train", "tiny.yaml", "--data", "images", "--init", "two", "--out", "no", cwd=place,
                      check=2).stderr  # fmt: skip
    assert "is not in space 'tiny': no option equals its stage 1" in refused and not (place / "no").exists()


@pytest.mark.slow
def test_interrupted_and_killed_it_ends_as_if_nothing_had_happened(place: Path) -> None:
    flags = (*FLAGS, "--epochs", "30")
    run_nas("supernet", "train", *flags, "--out", "whole", cwd=place)
    program = start_nas("supernet", "train", *flags, "--out", "broken", cwd=place)
    wait_for_epochs(place / "broken", 2)
    program.send_signal(signal.SIGINT)
    output = program.communicate(timeout=60)[0]
    assert program.returncode == 130 and "nas supernet train --resume broken" in output, output
    refused = run_nas("train", "--resume", "broken", cwd=place, check=2).stderr
    assert "trains a supernet; resume it with:" in refused
    for _ in range(2):
        program = start_nas("supernet", "train", "--resume", "broken", cwd=place)
        wait_for_epochs(place / "broken", len(history(place / "broken")) + 2)
        program.kill()
        program.communicate(timeout=60)
    run_nas("supernet", "train", "--resume", "broken", cwd=place)
    assert history(place / "broken") == history(place / "whole")
    weights = [(place / name / "supernet.safetensors").read_bytes() for name in ("whole", "broken")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_two_processes_share_a_batch(place: Path) -> None:
    """Each process measures BatchNorm on its half, so the losses differ a little; both learn."""
    run_nas("supernet", "train", *FLAGS, "--epochs", "20", "--workers", "2", "--out", "two", cwd=place)
    result = json.loads((place / "two" / "result.json").read_text())
    assert result["networks"]["largest"]["test"]["top1"] > 0.6 and len(history(place / "two")) == 20
