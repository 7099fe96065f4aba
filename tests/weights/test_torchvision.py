"""Our modules compute what torchvision's do, given their weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from nas.core.errors import InputError
from nas.search_spaces.module import build
from nas.weights.torchvision import (
    TORCHVISION,
    convert,
    from_torchvision,
    torchvision_network,
    torchvision_preprocessing,
)


def randomly_trained(name: str) -> nn.Module:
    """Torchvision's model with random weights, and statistics that make every BatchNorm matter."""
    torch.manual_seed(0)
    module: nn.Module = get_model(name, weights=None).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            nn.init.normal_(part.running_mean, 0, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.2, 0.9)
            nn.init.normal_(part.bias, 0, 0.1)
    return module


@pytest.mark.parametrize("name", TORCHVISION)
def test_same_weights_same_outputs(name: str) -> None:
    theirs = randomly_trained(TORCHVISION[name][0])
    ours = build(torchvision_network(name)).eval()
    ours.load_state_dict(convert(name, theirs.state_dict()))  # strict: every key of either side has its counterpart
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    assert expected.std() > 1e-4
    assert (found - expected).abs().max() <= 1e-5 * max(1.0, expected.abs().max().item())


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "efficientnet_b0"])
def test_the_epsilon_matters(name: str) -> None:
    """With the papers' epsilon in place of torchvision's, the outputs differ: it belongs to the weights."""
    theirs = randomly_trained(TORCHVISION[name][0])
    from dataclasses import replace

    ours = build(replace(torchvision_network(name), norm_epsilon=3e-2)).eval()
    ours.load_state_dict(convert(name, theirs.state_dict()))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert (theirs(images) - ours(images)).abs().max() > 1e-4


def test_loading_by_name_without_a_download() -> None:
    torch.manual_seed(1)
    ours = from_torchvision("mobilenet_v3_small", weights=None).eval()
    torch.manual_seed(1)
    theirs = get_model("mobilenet_v3_small", weights=None).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_what_torchvision_does_not_have() -> None:
    with pytest.raises(InputError, match="torchvision has no weights for 'mnasnet_a1'; did you mean 'mnasnet_b1'"):
        from_torchvision("mnasnet_a1")
    with pytest.raises(InputError, match="torchvision's 'extra.weight' has no counterpart"):
        convert("resnet18", {"extra.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("name", "share", "interpolation"),
    [
        ("efficientnet_b0", 224 / 256, "bicubic"),
        ("efficientnet_b1", 240 / 255, "bilinear"),
        ("resnet50", 224 / 232, "bilinear"),
    ],
)
def test_weights_see_images_as_torchvision_does(name: str, share: float, interpolation: str) -> None:
    found = torchvision_preprocessing(name)
    assert found["crop_share"] == pytest.approx(share) and found["interpolation"] == interpolation
    assert found["mean"][0] == pytest.approx(123.675)
