from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from nas.evaluate.cost import Cost, cost_by_part, network_cost
from nas.evaluate.cost_table import IMPOSSIBLE, CostTable
from nas.evaluate.module_cost import module_cost
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space, reference_network, space_names
from nas.search_spaces.domain import Domain
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.records import Architecture
from nas.search_spaces.stage_table_space import StageTableSpace
from nas.things import load_thing
from tests.search_spaces.test_network_yaml import NETWORKS
from tests.toys import TINY_FORM

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
FAMILY = {
    "b0": (5_288_548, 385_814_752),
    "b1": (7_794_184, 686_802_832),
    "b2": (9_109_994, 993_561_872),
    "b3": (12_233_232, 1_827_141_392),
    "b4": (19_341_616, 4_393_771_024),
    "b5": (30_389_784, 10_266_384_752),
    "b6": (43_040_704, 19_067_593_536),
    "b7": (66_347_960, 37_745_884_192),
}


def macs_and_params(cost: Cost) -> tuple[int, int]:
    return cost.macs, cost.params


def test_b0_stage_by_stage() -> None:
    parts = cost_by_part(reference_network("efficientnet_b0"))
    assert [(name, cost.macs, cost.params) for name, cost in parts] == B0_PARTS


@pytest.mark.parametrize("name", FAMILY)
def test_family_has_the_exact_published_integers(name: str) -> None:
    params, macs = FAMILY[name]
    assert macs_and_params(network_cost(load_thing(f"efficientnet_{name}"))) == (macs, params)


@pytest.mark.parametrize("name", ["b0", "b4"])
def test_family_agrees_with_the_built_module(name: str) -> None:
    network = load_thing(f"efficientnet_{name}")
    assert macs_and_params(module_cost(lambda: build(network), network.resolution)) == macs_and_params(
        network_cost(network)
    )


@pytest.mark.parametrize("name", space_names())
def test_random_networks_agree_with_torchs_counter_and_the_real_parameters(name: str) -> None:
    space = load_space(name)
    generator = np.random.default_rng(1)
    for _ in range(40):
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


@pytest.mark.parametrize("name", [*space_names(), "tiny"])
def test_tables_agree_with_counting_one_by_one(name: str) -> None:
    space = StageTableSpace(TINY_FORM) if name == "tiny" else load_space(name)
    assert isinstance(space, StageTableSpace)
    genes = np.random.default_rng(2).integers(0, space.gene_sizes, size=(300, len(space.gene_sizes)))
    costs = CostTable(space).costs(genes)
    for place, row in enumerate(genes.tolist()):
        one_by_one = network_cost(space.decode(Architecture(space.name, tuple(row))))
        assert one_by_one.metrics() == {name: column[place] for name, column in costs.items()}


def test_tables_cover_searched_resolution_stem_and_head() -> None:
    form = TINY_FORM | {"resolution": [16, 33], "head": {"channels": [16, 32]}, "stem": {"channels": [8, 16]}}
    space = StageTableSpace(form)
    genes = np.array([architecture.genes for architecture in spaces.enumerate_space(space)])
    macs = CostTable(space).costs(genes)["macs"]
    expected = [network_cost(space.decode(item)).macs for item in spaces.enumerate_space(space)]
    assert macs.tolist() == expected
    assert CostTable(space).macs_range() == (min(expected), max(expected))


def test_impossible_combinations_are_marked() -> None:
    stages = [{"channels": 8, "stride": [1, 2]}, {"channels": 8, "stride": [1, 2]}]
    space = StageTableSpace(TINY_FORM | {"resolution": 4, "stages": stages})
    table = CostTable(space)
    macs = table.costs(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))["macs"]
    assert (macs[:3] > 0).all() and macs[3] == IMPOSSIBLE
    assert table.macs_range() == (macs[:3].min(), macs[:3].max())
    assert not Domain(space).admits(Architecture("tiny", (1, 1)))


def test_range_of_efficientnet() -> None:
    space = load_space("efficientnet")
    assert isinstance(space, StageTableSpace)
    low, high = CostTable(space).macs_range()
    assert (round(low / 1e6, 1), round(high / 1e6, 1)) == (51.6, 884.1)


def test_thop_counts_the_same_convolutions_and_linears() -> None:
    """thop adds BatchNorm (2 or 4 a value, by its version) to what we count, and nothing else; it works on a copy."""
    import copy

    import thop
    import torch

    network = reference_network("efficientnet_b0").at(resolution=64)
    module = build(network).eval()
    norms = []
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.register_forward_hook(lambda _, inputs, __: norms.append(inputs[0].numel()))
    image = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        module(image)
    macs, params = thop.profile(copy.deepcopy(module), inputs=(image,), verbose=False)
    counted = network_cost(network)
    assert int(params) == counted.params
    assert (int(macs) - counted.macs) / sum(norms) in (2, 4)
