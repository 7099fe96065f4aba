from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from nas.search_spaces.blocks import Block, Norm, drop_connect
from nas.search_spaces.catalogue import reference_network
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.operations import realise
from nas.search_spaces.parts import Stage


def test_output_shape(tiny_network: Network) -> None:
    assert build(tiny_network)(torch.zeros(5, 3, 16, 16)).shape == (5, 3)


def test_odd_sizes_follow_the_table(tiny_network: Network) -> None:
    module = build(tiny_network.at(resolution=15))
    maps = module.stem(torch.zeros(1, 3, 15, 15))
    for stage, layers in zip(module.stages, tiny_network.at(resolution=15).stage_layers(), strict=True):
        maps = stage(maps)
        assert maps.shape[1:] == (layers[-1].out_channels, layers[-1].out_size, layers[-1].out_size)


def test_initialisation_has_the_reference_codes_spread() -> None:
    torch.manual_seed(0)
    module = build(reference_network("efficientnet_b0"))
    depthwise = next(part for part in module.modules() if isinstance(part, nn.Conv2d) and part.groups == 1152)
    assert depthwise.weight.std().item() == pytest.approx(math.sqrt(2 / 25), rel=0.05)
    head = module.head[0]
    assert isinstance(head, nn.Conv2d)
    assert head.weight.std().item() == pytest.approx(math.sqrt(2 / 1280), rel=0.02)
    bound = 1 / math.sqrt(1000)
    assert 0.99 * bound < module.classifier.weight.abs().max().item() <= bound
    assert module.classifier.bias.abs().max().item() == 0
    norm = module.stem[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)


def test_drop_connect_rises_linearly_from_zero() -> None:
    module = build(reference_network("efficientnet_b0"))
    rates = [part.drop_rate for part in module.modules() if isinstance(part, Block)]
    assert rates == pytest.approx([0.2 * index / 16 for index in range(16)])


def test_drop_connect_keeps_the_mean_and_whole_samples() -> None:
    torch.manual_seed(0)
    dropped = drop_connect(torch.ones(4000, 2, 1, 1), 0.25)
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0.0, 1 / 0.75])
    assert (dropped[:, 0] == dropped[:, 1]).all()
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


def test_a_fully_dropped_block_is_the_identity_and_evaluation_drops_nothing() -> None:
    block = Block(realise(Stage(channels=8, expand=2), 8, 4)[0], 0.999999, Norm())
    images = torch.randn(2, 8, 4, 4)
    block.train()
    assert torch.equal(block(images), images)
    block.eval()
    assert not torch.equal(block(images), images)


def test_skip_none_adds_no_identity(tiny_network: Network) -> None:
    without = replace(tiny_network, stages=tuple(replace(stage, skip="none") for stage in tiny_network.stages))
    assert [part.shortcut is not None for part in build(tiny_network).modules() if isinstance(part, Block)] == [
        True,
        False,
        True,
    ]
    assert not any(part.shortcut is not None for part in build(without).modules() if isinstance(part, Block))
