"""Every reference network has its exact integers, by arithmetic and as a module."""

from __future__ import annotations

import pytest

from nas.evaluate.cost.exact import network_cost
from nas.evaluate.cost.module import module_cost
from nas.scale.find_network import find_network, thing_names
from nas.search_spaces.catalogue import reference_names, reference_network
from nas.search_spaces.module import build
from nas.search_spaces.network import Network

# Name: (params, MACs at its resolution). The B family, MnasNet and MobileNet from the public reference code and timm,
# the ResNets from torchvision, B8 from timm.
EXACT = {
    "efficientnet_b0": (5_288_548, 385_814_752),
    "efficientnet_b1": (7_794_184, 686_802_832),
    "efficientnet_b2": (9_109_994, 993_561_872),
    "efficientnet_b3": (12_233_232, 1_827_141_392),
    "efficientnet_b4": (19_341_616, 4_393_771_024),
    "efficientnet_b5": (30_389_784, 10_266_384_752),
    "efficientnet_b6": (43_040_704, 19_067_593_536),
    "efficientnet_b7": (66_347_960, 37_745_884_192),
    "efficientnet_b8": (87_413_142, 62_597_461_568),
    "mnasnet_a1": (3_887_038, 311_579_072),
    "mnasnet_b1": (4_383_312, 314_415_872),
    "mnasnet_small": (2_030_264, 68_339_184),
    "mobilenet_v1": (4_231_976, 568_740_352),
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v3_large": (5_483_032, 216_589_760),
    "mobilenet_v3_small": (2_542_856, 56_510_400),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
}


def test_every_reference_is_listed() -> None:
    assert set(EXACT) == set(thing_names()) and set(reference_names()) <= set(EXACT)


@pytest.mark.parametrize("name", EXACT)
def test_exact_integers_by_arithmetic_and_from_the_module(name: str) -> None:
    network = find_network(name)
    cost = network_cost(network)
    assert (cost.params, cost.macs) == EXACT[name]
    counted = module_cost(lambda: build(network), network.resolution)
    assert (counted.params, counted.macs) == EXACT[name]


@pytest.mark.parametrize(
    ("name", "resolution", "millions"),
    [("mnasnet_a1", 192, 229.3), ("mnasnet_a1", 160, 159.7), ("mnasnet_a1", 128, 102.8), ("mnasnet_a1", 96, 58.5)],
)
def test_published_counts_at_other_resolutions(name: str, resolution: int, millions: float) -> None:
    cost = network_cost(reference_network(name).at(resolution=resolution))
    assert cost.macs / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    ("name", "size", "millions"),
    [("mobilenet_v1", 448, 2272), ("mobilenet_v2", 448, 1199), ("resnet50", 448, 16351)],
)
def test_doubled_resolutions_of_the_efficientnet_paper(name: str, size: int, millions: int) -> None:
    """Table 3's rows for r = 2, as counted exactly."""
    network: Network = reference_network(name).at(resolution=size)
    assert round(network_cost(network).macs / 1e6) == pytest.approx(millions, rel=5e-3)
