from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from nas.evaluate.cost.cross_check import convolutions_by_thop, cross_check
from nas.evaluate.cost.exact import Cost, cost_by_part, network_cost
from nas.evaluate.cost.module import module_cost
from nas.scale.find_network import find_network
from nas.search_spaces import space as spaces
from nas.search_spaces.blocks import Block, ConvNormAct, SqueezeExcitation
from nas.search_spaces.catalogue import load_space, reference_network, space_names
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from tests.search_spaces.test_yaml_format import NETWORKS

B0_PARTS = [
    ("stem", 10_838_016, 928),
    ("stage1", 10_035_712, 1_448),
    ("stage2", 54_945_216, 16_714),
    ("stage3", 37_939_584, 46_640),
    ("stage4", 43_555_200, 242_930),
    ("stage5", 86_102_400, 543_148),
    ("stage6", 91_528_224, 2_026_348),
    ("stage7", 29_520_000, 717_232),
    ("head", 21_350_400, 1_693_160),
]


def macs_and_params(cost: Cost) -> tuple[int, int]:
    return cost.macs, cost.params


def test_b0_stage_by_stage() -> None:
    parts = cost_by_part(reference_network("efficientnet_b0"))
    assert [(name, cost.macs, cost.params) for name, cost in parts] == B0_PARTS


@pytest.mark.parametrize("name", space_names())
@pytest.mark.parametrize("count", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_random_networks_agree_with_torchs_counter_and_the_real_parameters(name: str, count: int) -> None:
    space = load_space(name)
    generator = np.random.default_rng(count)
    for _ in range(count):
        network = spaces.decode(space, spaces.sample(space, generator))
        assert network is not None
        found: Network = network
        counted = module_cost(lambda: build(found), found.resolution)  # noqa: B023
        assert macs_and_params(counted) == macs_and_params(network_cost(found))


@settings(max_examples=25)
@given(NETWORKS)
def test_any_stage_table_agrees_with_the_built_module(network: Network) -> None:
    assert macs_and_params(module_cost(lambda: build(network), network.resolution)) == macs_and_params(
        network_cost(network)
    )


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v3_small", "resnet18", "mobilenet_v1"])
def test_other_counters_differ_by_what_is_explained(name: str) -> None:
    ours, torchs, thops = cross_check(find_network(name).at(resolution=64))
    assert (ours.macs, ours.params) == (torchs.macs, torchs.params)
    assert thops.explained and thops.params == ours.params
    assert thops.macs > ours.macs and "BatchNorm" in thops.note


def test_thop_works_on_a_copy(tiny_network: Network) -> None:
    module = build(tiny_network).eval()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    convolutions_by_thop(module, tiny_network.resolution)
    assert module.state_dict().keys() == before.keys() and not any(part._forward_hooks for part in module.modules())


def simulated_peak(network: Network) -> int:
    """Follow one image through the module and watch what is held: an account of memory that knows no stage table."""
    module = build(network).eval()
    held, most = [0], [0]

    def watch(extra: int) -> None:
        most[0] = max(most[0], sum(held) + extra)

    def leaf(_: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        again = held[-1] and inputs[0].data_ptr() == entered[-1]
        watch(output.numel() + (0 if again else inputs[0].numel()))

    def pooled_squeeze(part: SqueezeExcitation, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        watch(inputs[0].numel() + inputs[0].shape[1] + part.reduce.out_channels)

    entered = [0]

    def before(part: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        held.append(inputs[0].numel() if part.shortcut is not None else 0)
        entered.append(inputs[0].data_ptr())

    def after(part: nn.Module, _: tuple[torch.Tensor], output: torch.Tensor) -> None:
        if isinstance(part.shortcut, (nn.AvgPool2d, ConvNormAct)):
            watch(2 * output.numel())
        held.pop(), entered.pop()

    for part in module.modules():
        if isinstance(part, Block):
            part.register_forward_pre_hook(before)
            part.register_forward_hook(after)
        elif isinstance(part, SqueezeExcitation):
            part.register_forward_hook(pooled_squeeze)
        elif isinstance(part, (nn.Conv2d, nn.Linear, nn.MaxPool2d)):
            part.register_forward_hook(leaf)
    module.head.register_forward_hook(lambda _, __, out: watch(out.numel() + out.shape[1]))
    with torch.no_grad():
        module(torch.zeros(1, 3, network.resolution, network.resolution))
    return 4 * most[0]


@pytest.mark.parametrize(
    "name", ["efficientnet_b0", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "resnet18", "resnet50"]
)
def test_peak_of_activations_of_the_references(name: str) -> None:
    network = find_network(name).at(resolution=64)
    assert network_cost(network).peak_activation_bytes == simulated_peak(network)


@settings(max_examples=40)
@given(NETWORKS)
def test_peak_of_activations_of_any_network(network: Network) -> None:
    assert network_cost(network).peak_activation_bytes == simulated_peak(network)


def test_peak_by_hand() -> None:
    """B0 at 224 px peaks in its second stage: the expanded 96 maps of 112 px and the strided ones of 56 px."""
    assert network_cost(reference_network("efficientnet_b0")).peak_activation_bytes == 4 * 96 * (112**2 + 56**2)
