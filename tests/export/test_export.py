"""Exports: each is proved in a fresh process, and what would compute something else is never left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from nas.cli.app import app
from nas.core.errors import InputError, WorkError
from nas.export.card import model_card
from nas.export.export import FORMATS, available_formats, export
from nas.export.other_libraries import TIMM, find_counterpart, their_state
from nas.export.python_source import python_source
from nas.scale.find_network import find_network
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.weights.file import Weights

ODD = Network(
    resolution=24,
    classes=4,
    stem=Stem(channels=8, pool="max", activation="relu6"),
    stages=(
        Stage(8, expand=1, skip="pooling"),
        Stage(16, op="dsconv", stride=2, se=0.25, se_gate="hard_sigmoid"),
        Stage(16, op="conv", kernel=5, activation="hard_swish"),
        Stage(24, op="basic", skip="projection", layers=2),
        Stage(32, op="bottleneck", skip="projection", stride=2, activation="relu"),
        Stage(32, expand=2.3, se=0.5, se_base="gated", se_activation="relu"),
    ),
    head=Head(channels=0, hidden=16),
    name="odd",
)


def trained(network: Network, seed: int = 0) -> Weights:
    """Weights in which no tensor is at a value that hides a mistake: BatchNorm's statistics too."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, tensor in build(network).state_dict().items():
        noise = torch.rand(tensor.shape, generator=generator)
        moved = tensor + 0.1 * (noise - 0.5) if name.endswith(("bias", "mean")) else tensor * (0.9 + 0.2 * noise)
        tensors[name] = moved if tensor.is_floating_point() else tensor
    classes = tuple(f"class {label}" for label in range(network.classes))
    return Weights(network, tensors, classes, (1.0, 2.0, 3.0), (50.0, 60.0, 70.0), 1.0, "a test")


@pytest.mark.slow
def test_every_format_agrees_in_a_fresh_process(tmp_path: Path) -> None:
    """A network with every operation, every shortcut, every activation."""
    weights = trained(ODD)
    exported = export(ODD, weights, available_formats(ODD), tmp_path)
    assert [one.kind for one in exported] == ["onnx", "pt2", "py", "yaml"]
    assert all(one.difference <= 1e-4 * one.scale and one.scale > 0.05 for one in exported)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"odd.onnx", "odd.pt2", "model.py", "network.yaml", "weights.safetensors"}
    card = model_card("odd", weights, True, exported, "nas export odd")
    assert all(one.digest in card for one in exported) and "24 px" in card and "class 3" in card


@pytest.mark.slow
def test_the_python_file_needs_nothing_of_ours(tmp_path: Path) -> None:
    weights = trained(ODD)
    export(ODD, weights, ["py"], tmp_path)
    code = (
        "import sys, torch, model; m = model.load(); x = torch.zeros(40, 30, 3, dtype=torch.uint8);"
        "print(tuple(model.preprocess(x).shape), m(model.preprocess(x)).tolist()[0]);"
        "assert not any(name.split('.')[0] in ('nas', 'safetensors', 'torchvision') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shape, logits = done.stdout.split(") ", 1)
    assert shape == "(1, 3, 24, 24"
    module = build(ODD).eval()
    weights.into(module)
    black = (-torch.tensor(weights.mean) / torch.tensor(weights.std)).reshape(1, 3, 1, 1).expand(1, 3, 24, 24)
    assert json.loads(logits) == pytest.approx(module(black)[0].tolist(), abs=1e-5)
    shown = subprocess.run([sys.executable, "model.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "class" in shown.stdout and shown.stdout.count("%") == 4


def test_names_cannot_break_the_source() -> None:
    network = replace(ODD, name='a "quoted" name')
    compile(python_source(network, trained(network)), "model.py", "exec")


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_network_is_found_by_its_layers_whatever_it_is_called(library: str) -> None:
    network = replace(find_network("efficientnet_b0").at(resolution=64, classes=7), name="mine", drop_connect=0.0)
    found = find_counterpart(network, library)
    assert found is not None and (found.ours, found.theirs) == ("efficientnet_b0", "efficientnet_b0")
    wider = replace(network, stages=(replace(network.stages[0], channels=24), *network.stages[1:]))
    assert find_counterpart(wider, library) is None


@pytest.mark.slow
def test_torchvisions_model_takes_our_weights(tmp_path: Path) -> None:
    network = replace(find_network("mobilenet_v3_small").at(resolution=32, classes=5), norm_epsilon=2e-3)
    (exported,) = export(network, trained(network), ["torchvision"], tmp_path)
    assert exported.difference <= 1e-4 * exported.scale and "part.eps = 0.002" in exported.snippet
    done = subprocess.run([sys.executable, "-c", exported.snippet], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_timms_models_take_our_weights(name: str) -> None:
    timm = pytest.importorskip("timm")
    network = find_network(name).at(resolution=64, classes=5)
    weights, counterpart = trained(network), find_counterpart(network, "timm")
    assert counterpart is not None
    theirs, ours = timm.create_model(counterpart.theirs, num_classes=5).eval(), build(network).eval()
    for part in theirs.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eps = network.norm_epsilon
    theirs.load_state_dict(their_state(counterpart, weights))
    weights.into(ours)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(theirs(images), ours(images), rtol=1e-4, atol=1e-4)


def test_a_file_that_computes_something_else_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: Network, weights: Weights) -> str:
        changed = replace(network, stem=replace(network.stem, activation="swish"))
        return python_source(changed, weights)

    monkeypatch.setattr("nas.export.export.python_source", wrong)
    with pytest.raises(WorkError, match="py computes different logits"):
        export(ODD, trained(ODD), ["py"], tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"weights.safetensors"}


def test_a_file_that_does_not_load_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.export.export.python_source", lambda *_: "raise RuntimeError('broken')\n")
    with pytest.raises(WorkError, match="does not load in a fresh process: RuntimeError: broken"):
        export(ODD, trained(ODD), ["py"], tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"weights.safetensors"}


def test_nothing_can_be_said_of_what_is_not_finite(tmp_path: Path) -> None:
    weights = trained(ODD)
    broken = {**weights.tensors, "classifier.bias": torch.full((4,), float("nan"))}
    with pytest.raises(WorkError, match="not finite"):
        export(ODD, replace(weights, tensors=broken), ["py"], tmp_path)


@pytest.mark.parametrize("name", ["train.yaml", "README.md", "notes.txt"])
def test_nobody_elses_files_are_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"holds '{name}', which is not an export"):
        export(ODD, trained(ODD), ["yaml"], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_other_libraries_are_offered_only_where_they_have_the_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="timm has no model that equals 'odd'"):
        export(ODD, trained(ODD), ["timm"], tmp_path)
    assert set(available_formats(find_network("resnet18"))) == set(FORMATS)
    assert "timm" not in available_formats(find_network("mobilenet_v3_small"))


@pytest.mark.slow
def test_the_command_takes_formats_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained(ODD).save(tmp_path / "odd.safetensors")
    result = CliRunner().invoke(app, ["export", "yaml", "odd.safetensors", "--format", "py", "--out", "x", "--json"])
    rows = json.loads(result.stdout)
    assert [row["format"] for row in rows] == ["yaml", "py"] and all(row["difference"] < 1e-5 for row in rows)
    card = (tmp_path / "x" / "README.md").read_text()
    assert "nas export odd.safetensors yaml py --out x" in card and rows[0]["sha256"] in card
    again = CliRunner().invoke(app, ["export", "odd.safetensors", "yaml", "--out", "x"])
    assert again.exit_code == 0, again.output  # over an export of its own
    shown = CliRunner().invoke(app, ["export", "mnasnet_small", "yaml", "--resolution", "32"]).output
    assert "has no weights; initial weights" in shown
    card = (tmp_path / "exported" / "mnasnet_small" / "README.md").read_text()
    assert "initial weights: the network was not trained" in card
