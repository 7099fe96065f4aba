"""What the operations are made of, and what their modules compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.search_spaces.blocks import Block, Norm
from nas.search_spaces.operations import Convolution, Excitation, Layer, realise
from nas.search_spaces.parts import Stage


def first(in_channels: int = 16, size: int = 8, **fields: object) -> Layer:
    return realise(Stage(channels=16, **fields), in_channels, size)[0]  # type: ignore[arg-type]


def shape(layer: Layer) -> list[tuple[object, ...]]:
    """Kernel, stride, widths, groups and activation of every step; the squeeze width of an SE."""
    return [
        (step.kernel, step.stride, step.in_channels, step.out_channels, step.groups, step.activation)
        if isinstance(step, Convolution)
        else ("se", step.channels, step.squeeze)
        for step in layer.steps
    ]


def test_mbconv() -> None:
    act = "swish"
    layer = first(8, kernel=5, stride=2, expand=6, se=0.25)
    assert shape(layer) == [(1, 1, 8, 48, 1, act), (5, 2, 48, 48, 48, act), ("se", 48, 2), (1, 1, 48, 16, 1, None)]
    assert shape(first(expand=1)) == [(3, 1, 16, 16, 16, act), (1, 1, 16, 16, 1, None)]


def test_expand_ratios_that_are_not_whole_give_multiples_of_8() -> None:
    widths = [(80, 2.3, 184), (80, 2.5, 200), (24, 3.667, 88), (16, 4.5, 72), (24, 3, 72), (3, 6, 18)]
    for channels, ratio, inner in widths:
        layer = first(channels, expand=ratio)
        assert layer.steps[1].out_channels == inner  # type: ignore[union-attr]


def test_dsconv_activates_both_halves() -> None:
    layer = first(8, op="dsconv", kernel=3, stride=2, activation="relu", se=0.25)
    assert shape(layer) == [(3, 2, 8, 8, 8, "relu"), ("se", 8, 2), (1, 1, 8, 16, 1, "relu")]


def test_conv() -> None:
    layer = first(8, op="conv", kernel=5, activation="relu", se=0.25)
    assert shape(layer) == [(5, 1, 8, 16, 1, "relu"), ("se", 16, 2)]


def test_residual_blocks_of_resnet() -> None:
    basic = first(8, op="basic", stride=2, skip="projection", activation="relu")
    assert shape(basic) == [(3, 2, 8, 16, 1, "relu"), (3, 1, 16, 16, 1, None)] and basic.activation == "relu"
    bottleneck = first(8, op="bottleneck", stride=2, skip="projection", activation="relu", expand=0.5)
    assert shape(bottleneck) == [(1, 1, 8, 8, 1, "relu"), (3, 2, 8, 8, 1, "relu"), (1, 1, 8, 16, 1, None)]
    assert basic.projection == Convolution(8, 16, 1, 2, 1, None, 8, 4)


def test_squeeze_relative_to_the_gated_channels_is_a_multiple_of_8() -> None:
    layer = first(24, expand=3, se=0.25, se_base="gated", se_gate="hard_sigmoid", se_activation="relu")
    assert Excitation(72, 24, "relu", "hard_sigmoid", 8) in layer.steps


@pytest.mark.parametrize(
    ("skip", "stride", "in_channels", "shortcut"),
    [
        ("identity", 1, 16, "identity"),
        ("identity", 2, 16, "none"),
        ("identity", 1, 8, "none"),
        ("none", 1, 16, "none"),
        ("pooling", 1, 16, "pooling"),
        ("pooling", 2, 16, "pooling"),
        ("pooling", 2, 8, "none"),
        ("projection", 1, 16, "identity"),
        ("projection", 2, 16, "projection"),
        ("projection", 1, 8, "projection"),
    ],
)
def test_skips_apply_where_they_can(skip: str, stride: int, in_channels: int, shortcut: str) -> None:
    assert first(in_channels, skip=skip, stride=stride).shortcut == shortcut


@pytest.mark.parametrize("stride", [1, 2])
def test_the_pooling_skip_adds_the_average_of_the_pixels_that_are_there(stride: int) -> None:
    block = Block(first(skip="pooling", stride=stride, size=5), 0.0, Norm()).eval()
    maps = torch.randn(2, 16, 5, 5)
    with torch.no_grad():
        added = block(maps) - block.blocks(maps)
    side = added.shape[-1]
    assert side == -(-5 // stride)
    for row, column in ((0, 0), (side - 1, 1)):
        top, left = max(0, row * stride - 1), max(0, column * stride - 1)
        window = maps[:, :, top : row * stride + 2, left : column * stride + 2]
        assert torch.allclose(added[:, :, row, column], window.mean((2, 3)), atol=1e-5)


@pytest.mark.parametrize("op", ["mbconv", "dsconv", "conv", "basic", "bottleneck"])
@pytest.mark.parametrize("skip", ["none", "identity", "pooling", "projection"])
def test_every_operation_trains_with_every_skip(op: str, skip: str) -> None:
    stage = Stage(channels=16, op=op, skip=skip, stride=2, layers=2, se=0.25, kernel=3)  # type: ignore[arg-type]
    layers = realise(stage, 8, 9)
    blocks = nn.Sequential(*(Block(layer, 0.2, Norm()) for layer in layers)).train()
    maps = blocks(torch.randn(4, 8, 9, 9))
    assert maps.shape == (4, 16, 5, 5)
    torch.autograd.backward(maps.square().sum())
    assert all(parameter.grad is not None for parameter in blocks.parameters())


def test_residual_blocks_end_activated() -> None:
    block = Block(first(op="basic", activation="relu"), 0.0, Norm()).eval()
    with torch.no_grad():
        assert (block(torch.randn(2, 16, 8, 8)) >= 0).all()
