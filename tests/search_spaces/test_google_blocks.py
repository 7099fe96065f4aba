from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.search_spaces.catalogue import reference_network
from nas.search_spaces.google_blocks import block_strings, format_block, parse_block
from nas.search_spaces.parts import Stage
from nas.search_spaces.yaml_format import network_from_dict

A1 = [
    "r1_k3_s11_e1_i32_o16_noskip",
    "r2_k3_s22_e6_i16_o24",
    "r3_k5_s22_e3_i24_o40_se0.25",
    "r4_k3_s22_e6_i40_o80",
    "r2_k3_s11_e6_i80_o112_se0.25",
    "r3_k5_s22_e6_i112_o160_se0.25",
    "r1_k3_s11_e6_i160_o320",
]
FORM: dict[str, Any] = {
    "resolution": 224,
    "classes": 10,
    "stem": {"channels": 32},
    "stages": A1,
    "head": {"channels": 1280},
}


def test_mnasnet_a1_reads_and_prints() -> None:
    assert block_strings(network_from_dict(FORM)) == A1
    assert block_strings(reference_network("mnasnet_a1")) == A1


@given(
    st.builds(
        Stage,
        channels=st.integers(1, 500),
        kernel=st.sampled_from([3, 5, 7]),
        stride=st.sampled_from([1, 2]),
        expand=st.sampled_from([1, 3, 6, 2.5]),
        layers=st.integers(1, 9),
        se=st.sampled_from([0, 0.25, 0.5]),
        skip=st.sampled_from(["identity", "none"]),
    ),
    st.integers(1, 500),
)
def test_any_mbconv_stage_survives(stage: Stage, in_channels: int) -> None:
    values, stated = parse_block(format_block(stage, in_channels))
    assert Stage(**values) == stage and stated == in_channels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r1_k3_s11_e1_o16_q7", "got 'q7'"),
        ("r1_k3_s11_e1", r"lacks o \(channels\)"),
        ("r1_k3_s33_e1_o8", "expected stride s1, s2, s11 or s22, got 's33'"),
        ("r1_r2_k3_s1_e1_o8", "'r' occurs twice"),
        ("", "got ''"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_block(text)


def test_stated_inputs_must_be_those_that_arrive() -> None:
    wrong = FORM | {"stages": [A1[0], A1[1].replace("i16", "i24")]}
    with pytest.raises(InputError, match=r"stages\[1\]: the block states i24, but 16 channels arrive"):
        network_from_dict(wrong)
    assert network_from_dict(FORM | {"width": 0.5}).stages[0].channels == 8  # before the factor they do


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_large", "mobilenet_v1"])
def test_what_the_notation_cannot_tell_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"stages\[\d\]: block notation supports only mbconv"):
        block_strings(reference_network(name))
