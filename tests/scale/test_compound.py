from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.evaluate.cost.exact import network_cost
from nas.scale.compound import Rule, Scaling, official_scalings, phi_scaling, round_layers, scale
from nas.scale.find_network import find_network
from nas.search_spaces.catalogue import reference_names, reference_network
from nas.search_spaces.rounding import round_channels

B0 = reference_network("efficientnet_b0")
WIDTHS_AND_LAYERS = {
    "b1": (32, (16, 24, 40, 80, 112, 192, 320), (2, 3, 3, 4, 4, 5, 2), 1280),
    "b2": (32, (16, 24, 48, 88, 120, 208, 352), (2, 3, 3, 4, 4, 5, 2), 1408),
    "b3": (40, (24, 32, 48, 96, 136, 232, 384), (2, 3, 3, 5, 5, 6, 2), 1536),
    "b4": (48, (24, 32, 56, 112, 160, 272, 448), (2, 4, 4, 6, 6, 8, 2), 1792),
    "b5": (48, (24, 40, 64, 128, 176, 304, 512), (3, 5, 5, 7, 7, 9, 3), 2048),
    "b6": (56, (32, 40, 72, 144, 200, 344, 576), (3, 6, 6, 8, 8, 11, 3), 2304),
    "b7": (64, (32, 48, 80, 160, 224, 384, 640), (4, 7, 7, 10, 10, 13, 4), 2560),
}


@pytest.mark.parametrize("name", WIDTHS_AND_LAYERS)
def test_official_members_have_the_released_tables(name: str) -> None:
    network = find_network(f"efficientnet_{name}")
    widths = tuple(stage.channels for stage in network.stages)
    layers = tuple(stage.layers for stage in network.stages)
    assert (network.stem.channels, widths, layers, network.head.channels) == WIDTHS_AND_LAYERS[name]


@pytest.mark.parametrize(
    ("phi", "resolution", "macs_in_billions", "params_in_millions"),
    [
        (0.5, 240, 0.731, 8.44),
        (1, 258, 0.993, 9.11),
        (2, 296, 1.811, 12.26),
        (3.5, 365, 4.179, 19.33),
        (5, 451, 11.37, 33.73),
        (6, 518, 20.09, 45.46),
        (7, 596, 39.66, 68.74),
    ],
)
def test_members_by_phi(phi: float, resolution: int, macs_in_billions: float, params_in_millions: float) -> None:
    scaling = phi_scaling(phi, "efficientnet_b0")
    network = scale(B0, scaling)
    cost = network_cost(network)
    assert network.resolution == resolution
    assert cost.macs / 1e9 == pytest.approx(macs_in_billions, rel=6e-4)
    assert cost.params / 1e6 == pytest.approx(params_in_millions, abs=0.006)


@given(st.integers(1, 4000), st.floats(0.1, 8).filter(lambda width: width != 1))
def test_channels_are_multiples_of_8_near_the_product(channels: int, width: float) -> None:
    rounded = round_channels(channels, width)
    assert rounded % 8 == 0 and rounded >= 8
    assert rounded >= 0.9 * channels * width
    assert rounded == 8 or abs(rounded - channels * width) <= 8


def test_a_width_of_one_changes_nothing() -> None:
    assert round_channels(13, 1.0) == 13
    assert scale(B0, Scaling("efficientnet_b0")) == B0


@pytest.mark.parametrize(
    ("layers", "depth", "expected"), [(3, 1.1, 4), (1, 1.0, 1), (10, 1.1, 11), (3, 1.2 * 5 / 6, 3), (2, 0.5, 1)]
)
def test_layers_are_rounded_up_but_not_by_float_error(layers: int, depth: float, expected: int) -> None:
    assert round_layers(layers, depth) == expected


def test_shrinking_keeps_at_least_one_layer() -> None:
    small = scale(B0, Scaling("small", width=0.25, depth=0.1, resolution=96))
    assert {stage.layers for stage in small.stages} == {1} and small.stem.channels == 8


def test_members_of_other_baselines_keep_their_resolutions_ratio() -> None:
    names = [(item.name, item.resolution) for item in official_scalings("b1,b3..b4", "mine", 32)]
    assert names == [("mine_b1", 34), ("mine_b3", 43), ("mine_b4", 54)]


def test_dropout_rises_with_phi_from_b0s_to_b7s() -> None:
    dropouts = [scale(B0, phi_scaling(phi, "x")).head.dropout for phi in (0, 3.5, 7, 10, -9)]
    assert dropouts == pytest.approx([0.2, 0.35, 0.5, 0.5, 0])


def test_dropouts_of_the_released_models_are_kept() -> None:
    members = [scale(B0, scaling) for scaling in official_scalings("b0..b8", "efficientnet_b0", 224)]
    assert [member.head.dropout for member in members] == [0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("name", reference_names())
def test_phi_0_is_the_identity(name: str) -> None:
    network = reference_network(name)
    assert replace(scale(network, phi_scaling(0, name)), name=network.name) == network


def test_a_network_without_dropout_stays_without() -> None:
    network = reference_network("resnet50")
    assert network.head.dropout == 0 and scale(network, phi_scaling(3, "x")).head.dropout == 0
    (member,) = official_scalings("b7", "resnet50", 224)
    assert scale(network, member).head.dropout == 0


@pytest.mark.parametrize("names", ["b9", "b1..b9", "b3..b1", "", "b1,,b2"])
def test_members_that_do_not_exist(names: str) -> None:
    with pytest.raises(InputError, match="official"):
        official_scalings(names, "x", 224)


@pytest.mark.parametrize(("phi", "alpha"), [(float("nan"), 1.2), (1e9, 1.2), (1, 0.5)])
def test_impossible_coefficients(phi: float, alpha: float) -> None:
    with pytest.raises(InputError, match="phi|alpha"):
        phi_scaling(phi, "x", Rule(alpha=alpha))
    with pytest.raises(InputError, match="width"):
        Scaling("x", width=0)


@pytest.mark.parametrize(
    ("name", "width", "depth", "resolution", "billions"),
    [
        ("mobilenet_v1", 2, 1, 224, 2.217),
        ("mobilenet_v1", 1, 1, 448, 2.272),
        ("mobilenet_v1", 1.2, 1.4, 288, 2.243),
        ("mobilenet_v2", 1, 4, 224, 1.220),
        ("mobilenet_v2", 2, 1, 224, 1.137),
        ("mobilenet_v2", 1.2, 1.4, 288, 1.284),
        ("resnet50", 1, 4, 224, 14.571),
        ("resnet50", 2, 1, 224, 16.117),
        ("resnet50", 1, 1, 448, 16.351),
    ],
)
def test_scaled_mobilenets_and_resnets(name: str, width: float, depth: float, resolution: int, billions: float) -> None:
    """The rows of EfficientNet's Table 3, as other counters of the same rules measured them."""
    scaled = scale(find_network(name), Scaling("x", width, depth, resolution))
    assert network_cost(scaled).macs / 1e9 == pytest.approx(billions, abs=6e-4)


def test_stem_and_head_are_kept_on_request() -> None:
    """As the reference code's ``fix_head_stem``, which keeps the first and the last stage's repeats with them."""
    kept = scale(B0, Scaling("lite", width=2, depth=3, keep_stem_and_head=True))
    assert (kept.stem.channels, kept.head.channels) == (32, 1280)
    assert [stage.channels for stage in kept.stages] == [32, 48, 80, 160, 224, 384, 640]
    assert [stage.layers for stage in kept.stages] == [1, 6, 6, 9, 9, 12, 1]
    assert network_cost(scale(B0, Scaling("x", depth=4, keep_stem_and_head=True))).macs / 1e9 == pytest.approx(
        1.376, abs=6e-4
    )


def test_a_negative_phi_makes_the_baseline_smaller() -> None:
    costs = [network_cost(scale(B0, phi_scaling(phi, "x"))) for phi in (-4, -2, -1, 0, 1, 2)]
    macs, params = [cost.macs for cost in costs], [cost.params for cost in costs]
    assert macs == sorted(macs) and params == sorted(params) and macs[3] == 385_814_752


@given(st.floats(-15, 8, allow_subnormal=False), st.floats(0, 1, allow_subnormal=False))
def test_macs_never_fall_as_phi_rises(phi: float, more: float) -> None:
    smaller, larger = (network_cost(scale(B0, phi_scaling(value, "x"))).macs for value in (phi, phi + more))
    assert smaller <= larger
