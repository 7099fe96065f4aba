from __future__ import annotations

from typing import Any

import pytest

from nas.core.errors import InputError
from nas.search_spaces.catalogue import reference_network
from nas.search_spaces.space import enumerate_space
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.yaml_format import load_network, network_from_dict, network_to_yaml

FORM: dict[str, Any] = {
    "name": "short",
    "resolution": 32,
    "classes": 10,
    "stem": {"channels": 16},
    "stages": [{"op": "mbconv3", "channels": 16}, {"op": "conv", "channels": 24, "stride": 2, "activation": "relu6"}],
    "head": {"channels": 64, "hidden": 40},
}


def stage(**changes: Any) -> dict[str, Any]:
    return FORM | {"stages": [FORM["stages"][0] | changes]}


def test_an_operation_may_say_its_expand_ratio() -> None:
    first = network_from_dict(FORM).stages[0]
    assert (first.op, first.expand) == ("mbconv", 3)
    with pytest.raises(InputError, match=r"stages\[0\].expand: op 'mbconv3' already sets it"):
        network_from_dict(stage(expand=6))


def test_the_root_says_the_activation_of_parts_that_say_none() -> None:
    network = network_from_dict(FORM | {"activation": "relu"})
    assert [part.activation for part in network.parts] == ["relu", "relu", "relu6", "relu"]


def test_the_root_scales_every_width() -> None:
    network = network_from_dict(FORM | {"width": 0.5})
    widths = [network.stem.channels, *(stage.channels for stage in network.stages)]
    assert (widths, network.head.channels, network.head.hidden) == ([8, 8, 16], 32, 24)


def test_relative_widths_and_layers() -> None:
    values = [(16, 0.75, 16), (16, 1.25, 24), (24, 0.75, 24), (96, 1.25, 120), (64, 0.75, 48)]
    for channels, width, expected in values:
        assert network_from_dict(stage(channels=channels, width=width)).stages[0].channels == expected
    for layers, extra, expected in ((3, 1, 4), (3, -1, 2), (1, -1, 1), (2, 0, 2)):
        assert network_from_dict(stage(layers=layers, extra_layers=extra)).stages[0].layers == expected


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (stage(width=0), r"stages\[0\].width: expected a factor above 0"),
        (stage(width="x"), r"stages\[0\].width: .* got 'x'"),
        (stage(extra_layers=0.5), r"stages\[0\].extra_layers: expected a whole number, got 0.5"),
        (FORM | {"width": -1}, "width: expected a factor above 0 and at most 100, got -1"),
        (FORM | {"activation": "swsh"}, "stem.activation"),
        (stage(op="mbconvx"), "stages.*op.*got 'mbconvx'"),
    ],
)
def test_mistakes_are_named(form: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        network_from_dict(form)


def test_everything_may_be_a_choice() -> None:
    """Resolution, a width factor, the activation, operations and relative widths, searched together."""
    rows = [{"op": ["conv", "mbconv6"], "channels": 16, "width": [1.0, 1.5], "extra_layers": [0, 1], "layers": 1}]
    changes = {"resolution": [16, 32], "width": [0.5, 1.0], "activation": ["relu", "swish"], "stages": rows}
    space = StageTableSpace(FORM | changes)
    own = ("stage1.op", "stage1.width", "stage1.extra_layers")
    assert space.gene_names == ("resolution", *own, "width", "activation")
    for architecture in enumerate_space(space):
        chosen = space.choices(architecture)
        values = {key: chosen[key] for key in ("resolution", "width", "activation")}
        row = {key: chosen[f"stage1.{key}"] for key in ("op", "width", "extra_layers")}
        expected = network_from_dict(FORM | values | {"stages": [{"channels": 16, "layers": 1} | row]})
        assert space.decode(architecture) == expected


def test_stages_that_may_be_absent() -> None:
    rows = [{"channels": 16}, {"channels": 16, "layers": [0, 1], "kernel": [3, 5]}, {"channels": 24, "layers": [0, 2]}]
    space = StageTableSpace(FORM | {"stages": rows})
    counts = {len(space.decode(architecture).stages) for architecture in enumerate_space(space)}
    assert counts == {1, 2, 3}
    with pytest.raises(InputError, match="at least one stage whose layers are never 0"):
        StageTableSpace(FORM | {"stages": rows[1:]})


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "resnet50", "mnasnet_a1", "mobilenet_v1"])
def test_references_survive_yaml(name: str, tmp_path: Any) -> None:
    (tmp_path / "network.yaml").write_text(network_to_yaml(reference_network(name)))
    assert load_network(tmp_path / "network.yaml") == reference_network(name)


def test_a_key_that_stands_twice_is_refused(tmp_path: Any) -> None:
    (tmp_path / "twice.yaml").write_text("name: a\nresolution: 32\nresolution: 64\n")
    with pytest.raises(InputError, match="line 3: the key 'resolution' occurs twice"):
        load_network(tmp_path / "twice.yaml")
