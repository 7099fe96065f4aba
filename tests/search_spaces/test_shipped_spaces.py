"""The papers' spaces: their choices, their sizes, and the networks they must hold."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from nas.core.records import Architecture
from nas.search_spaces.catalogue import load_space, reference_network
from nas.search_spaces.count_networks import count_networks
from nas.search_spaces.space import enumerate_space, network_key, size
from nas.search_spaces.stage_table import StageTableSpace
from tests.search_spaces.test_yaml_shorthand import FORM
from tests.toys import TINY_FORM


def shipped(name: str) -> StageTableSpace:
    space = load_space(name)
    assert isinstance(space, StageTableSpace)
    return space


def test_mnasnet_has_432_choices_in_each_of_seven_blocks() -> None:
    space = shipped("mnasnet")
    blocks = [math.prod(space.gene_sizes[start : start + 6]) for start in range(0, 42, 6)]
    assert blocks == [432] * 7 and size(space) == 432**7
    assert count_networks(space) == 198_579_389_183_557_632


def test_mnasnet_rounds_and_clips_around_mobilenet_v2() -> None:
    space = shipped("mnasnet")
    widths, layers = [], []
    for factor, extra in ((0, 0), (1, 1), (2, 2)):
        genes = (0, 0, 0, 1, factor, extra) * 7
        stages = space.decode(Architecture("mnasnet", genes)).stages
        widths.append([stage.channels for stage in stages])
        layers.append([stage.layers for stage in stages])
    assert widths[0] == [16, 24, 24, 48, 72, 120, 240]  # 12 and 18 are rounded up: at least 90% stay
    assert widths[1] == [stage.channels for stage in reference_network("mobilenet_v2").stages]
    assert widths[2] == [24, 32, 40, 80, 120, 200, 400]
    assert layers == [[1, 1, 2, 3, 2, 2, 1], [1, 2, 3, 4, 3, 3, 1], [2, 3, 4, 5, 4, 4, 2]]


@pytest.mark.parametrize("name", ["mnasnet_a1", "mnasnet_b1", "efficientnet_b0"])
def test_mnasnet_wide_holds_the_papers_networks_exactly(name: str) -> None:
    space, reference = shipped("mnasnet-wide"), reference_network(name)
    wanted: dict[str, Any] = {"activation": reference.stem.activation}
    for index, stage in enumerate(reference.stages):
        row = {"op": f"mbconv{stage.expand}", "kernel": stage.kernel, "se": stage.se, "skip": stage.skip}
        row |= {"channels": stage.channels, "layers": stage.layers}
        wanted |= {f"stage{index + 1}.{key}": value for key, value in row.items()}
    genes = tuple(decision.options.index(wanted[decision.name]) for decision in space.decisions)
    found = space.decode(Architecture(space.name, genes))
    trained_alike = replace(reference, drop_connect=found.drop_connect)  # stochastic depth is no part of the network
    assert found.signature() == trained_alike.signature()


def test_mobilenet_v3_and_proxylessnas_choices() -> None:
    assert size(shipped("mobilenet_v3")) == (3 * 3 * 3 * 2 * 2) ** 5
    space = shipped("proxylessnas")
    assert size(space) == 6**6 * 12**15
    # The words of one first layer of six kinds and up to three more, five times; then one layer of six kinds.
    assert count_networks(space) == (6 * (1 + 6 + 36 + 216)) ** 5 * 6
    largest = space.decode(Architecture("proxylessnas", tuple(count - 1 for count in space.gene_sizes)))
    assert [len([s for s in largest.stages if s.channels == c]) for c in (32, 40, 80, 96, 192, 320)] == [4] * 5 + [1]


ODD_FORMS = [
    TINY_FORM,
    FORM | {"stages": [{"op": ["conv", "dsconv", "mbconv1"], "channels": 16, "skip": ["none", "identity", "pooling"]}]},
    FORM | {"stages": [{"channels": 16, "width": [0.75, 1.0, 1.25], "layers": [1, 2], "extra_layers": [-1, 0]}]},
    FORM | {"activation": ["relu", "swish"], "width": [0.5, 0.6], "resolution": [16, 32]},
    # Adjacent stages of the same width: two of one layer are one of two.
    FORM | {"stages": [{"channels": 16, "layers": [1, 2]}, {"channels": 16, "layers": [1, 2, 3]}]},
    FORM | {"stages": [{"channels": 16}, *({"channels": 16, "layers": [0, 1], "kernel": [3, 5]} for _ in range(3))]},
    FORM | {"stages": [{"channels": [8, 16], "stride": [1, 2]}, {"channels": 16, "stride": [1, 2], "se": [0, 0.01]}]},
    FORM | {"resolution": 4, "stages": [{"channels": 8, "stride": [1, 2]}, {"channels": 8, "stride": [1, 2]}]},
]


@pytest.mark.parametrize("form", ODD_FORMS, ids=range(len(ODD_FORMS)))
def test_distinct_networks_are_counted_exactly(form: dict[str, Any]) -> None:
    """Against brute force over every genotype."""
    from nas.core.errors import InputError

    space = StageTableSpace(form)
    keys = set()
    for architecture in enumerate_space(space):
        try:
            keys.add(network_key(space, architecture))
        except InputError:
            continue
    assert count_networks(space) == len(keys)


def test_every_option_of_every_shipped_block_decodes() -> None:
    space = shipped("mnasnet-wide")
    first = [range(count) for count in space.gene_sizes[:7]]
    for genes in product(*first):
        space.decode(Architecture(space.name, (*genes, *(0,) * (len(space.gene_sizes) - 7))))
