from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from nas.cli.app import app
from nas.core.errors import InputError
from nas.export.cam import activation_map, class_map
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head
from nas.weights.find import make_module
from tests.export.test_export import ODD, trained

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, size=(40, 60, 3), dtype=np.uint8))


@pytest.mark.parametrize("channels", [0, 32])
def test_the_mean_of_a_map_is_the_logit(channels: int, tiny_network: Network) -> None:
    """Zhou et al. 2016, equation 2: with or without a convolution in the head."""
    module = make_module(trained(replace(tiny_network, head=Head(channels))))
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    logits = module(images)[0]
    for label in range(3):
        mean = class_map(module, images, label).mean() + module.classifier.bias[label]
        assert mean.item() == pytest.approx(logits[label].item(), abs=1e-5)


def test_a_map_shows_where_the_class_is(tiny_network: Network) -> None:
    """A classifier that looks only at brightness finds the one bright corner."""
    network = replace(tiny_network, resolution=32, stages=tiny_network.stages[:1], head=Head(0))
    weights = trained(network)
    tensors = dict(weights.tensors)
    for name in tensors:
        if name.endswith("0.weight") and tensors[name].ndim == 4:
            tensors[name] = tensors[name].abs()
    tensors["classifier.weight"] = torch.stack([torch.ones(8), -torch.ones(8), torch.zeros(8)])
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:8, 24:] = 255
    found = activation_map(replace(weights, tensors=tensors), Image.fromarray(pixels), "class 0")
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)
    assert row < 10 and column > 21 and found.exact


def test_with_a_hidden_layer_it_is_grad_cam() -> None:
    found = activation_map(trained(ODD), PICTURE)
    assert not found.exact and found.values.shape == (24, 24) and np.isfinite(found.values).all()
    assert found.pixels.shape == (24, 24, 3)


def test_a_class_by_name_or_number(tiny_network: Network) -> None:
    weights = trained(tiny_network)
    assert activation_map(weights, PICTURE, "class 2").label == 2 == activation_map(weights, PICTURE, "2").label
    likeliest = activation_map(weights, PICTURE)
    assert likeliest.probability == max(activation_map(weights, PICTURE, str(label)).probability for label in range(3))
    with pytest.raises(InputError, match="--class: '3' is neither a class"):
        activation_map(weights, PICTURE, "3")


def test_several_networks_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_network: Network) -> None:
    monkeypatch.chdir(tmp_path)
    PICTURE.save("a.png")
    trained(tiny_network).save(Path("first.safetensors"))
    trained(ODD).save(Path("second.safetensors"))
    command = ["cam", "first.safetensors", "second.safetensors", "--image", "a.png", "--image", "a.png"]
    result = CliRunner().invoke(app, [*command, "--out", "cam.png", "--json"])
    found = json.loads(result.stdout)
    assert [row["method"] for row in found["maps"]] == ["CAM", "Grad-CAM"] * 2
    with Image.open("cam.png") as drawn:
        assert drawn.width > drawn.height > 300
    assert CliRunner().invoke(app, [*command, "--out", "cam.svg"]).exit_code == 0 and Path("cam.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cam", "efficientnet_b0"], "--image is missing"),
        (["cam", "efficientnet_b0", "--image", "a.png"], "'efficientnet_b0' has no weights"),
        (["cam", "w.safetensors", "--image", "text.png"], "'text.png' cannot be read: it is not an image"),
        (["cam", "w.safetensors", "--image", "a.png", "--out", "cam.gif"], "expected a file ending in .png"),
        (["cam", "w.safetensors", "--image", "a.png", "--class", "dog"], "neither a class"),
        (["cam", "w.safetensors", "--image", "a.png", "--weights", "x", "--weights", "y"], "expected one for all or 1"),
    ],
)
def test_mistakes(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_network: Network
) -> None:
    monkeypatch.chdir(tmp_path)
    PICTURE.save("a.png")
    Path("text.png").write_text("no image")
    trained(tiny_network).save(Path("w.safetensors"))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and words in result.output
