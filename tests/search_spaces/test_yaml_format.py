from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.yaml_format import load_network, network_from_dict, network_to_dict, network_to_yaml

CHANNELS = st.integers(1, 64)
STAGES = st.builds(
    Stage,
    channels=CHANNELS,
    op=st.sampled_from(["mbconv", "dsconv", "conv", "basic", "bottleneck"]),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.just(1),
    expand=st.sampled_from([None, 0.25, 1, 2.5, 3, 6]),
    layers=st.integers(1, 4),
    se=st.sampled_from([0.0, 0.25, 0.5]),
    se_base=st.sampled_from(["input", "gated"]),
    se_activation=st.sampled_from([None, "relu"]),
    se_gate=st.sampled_from(["sigmoid", "hard_sigmoid"]),
    skip=st.sampled_from(["identity", "none", "pooling", "projection"]),
    activation=st.sampled_from(["swish", "relu", "relu6", "hard_swish"]),
)
NETWORKS = st.builds(
    Network,
    resolution=st.integers(1, 64),
    classes=st.integers(1, 100),
    stem=st.builds(
        Stem,
        channels=CHANNELS,
        kernel=st.sampled_from([1, 3, 5]),
        stride=st.just(1),
        pool=st.sampled_from(["none", "max"]),
    ),
    stages=st.lists(STAGES, min_size=1, max_size=3).map(tuple),
    head=st.builds(
        Head, channels=st.integers(0, 64), dropout=st.sampled_from([0.0, 0.2]), hidden=st.sampled_from([0, 24])
    ),
    norm_epsilon=st.sampled_from([1e-3, 1e-5]),
    name=st.sampled_from(["a", "network: odd #1", "no", "1"]),
)


@given(NETWORKS)
def test_networks_survive_yaml(network: Network) -> None:
    assert network_from_dict(yaml.safe_load(network_to_yaml(network))) == network
    assert network_from_dict(network_to_dict(network)) == network


def form(**changes: Any) -> dict[str, Any]:
    base = {
        "resolution": 32,
        "classes": 3,
        "stem": {"channels": 4},
        "stages": [{"channels": 8}],
        "head": {"channels": 8},
    }
    return base | changes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (form(resolutoin=3), "unknown key 'resolutoin'; did you mean 'resolution'"),
        (form(stages=[{"channels": 8, "kernl": 3}]), r"unknown key 'stages\[0\].kernl'; did you mean 'kernel'"),
        (form(stages=[{"kernel": 3}]), r"missing key 'stages\[0\].channels'"),
        (form(stages=[{"channels": 8, "kernel": 2}]), r"stages\[0\].kernel: expected an odd number, got 2"),
        (form(classes="3"), "classes: expected a valid integer, got '3'"),
        (form(head={"channels": True}), "head.channels: expected a valid integer, got True"),
        (form(stages=[{"channels": 8, "activation": "swsh"}]), "got 'swsh'"),
        (form(stem={"channels": 4, "op": "pool"}), "stem.op: expected 'conv', got 'pool'"),
        (form(stages=7), "stages: expected a list, got 7"),
        (form(resolution=1, stages=[{"channels": 8, "stride": 2}]), "got 2 on a 1x1 map"),
    ],
)
def test_mistakes_are_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        network_from_dict(data)


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    for text, message in (
        ("- 1\n", "expected a mapping"),
        ("a: [", "not valid YAML"),
        ("!!python/object:os.x {}", "not valid YAML"),
    ):
        path = tmp_path / "network.yaml"
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_network(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_network(tmp_path / "absent.yaml")
