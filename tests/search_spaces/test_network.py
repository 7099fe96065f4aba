from __future__ import annotations

from dataclasses import replace

import pytest

from nas.core.errors import InputError
from nas.search_spaces.network import Network
from nas.search_spaces.operations import Convolution, Excitation, Layer, realise
from nas.search_spaces.parts import Head, Stage, Stem, output_size


@pytest.mark.parametrize(("size", "stride", "expected"), [(224, 2, 112), (7, 2, 4), (1, 1, 1), (75, 2, 38)])
def test_map_sizes_round_up(size: int, stride: int, expected: int) -> None:
    assert output_size(size, stride) == expected


def expanded(layer: Layer) -> int:
    depthwise = next(step for step in layer.steps if isinstance(step, Convolution) and step.groups > 1)
    return depthwise.in_channels


def squeezed(layer: Layer) -> int:
    return next(step for step in layer.steps if isinstance(step, Excitation)).squeeze


def test_only_the_first_layer_strides_and_widens() -> None:
    layers = realise(Stage(channels=24, stride=2, expand=6, layers=3, se=0.25), 16, 112)
    assert [layer.stride for layer in layers] == [2, 1, 1]
    assert [layer.in_channels for layer in layers] == [16, 24, 24]
    assert [expanded(layer) for layer in layers] == [96, 144, 144]
    assert [squeezed(layer) for layer in layers] == [4, 6, 6]
    assert [layer.shortcut for layer in layers] == ["none", "identity", "identity"]
    assert [layer.out_size for layer in layers] == [56, 56, 56]


def test_squeeze_width_is_at_least_one() -> None:
    assert squeezed(realise(Stage(channels=8, se=0.25), 2, 8)[0]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 0}, r"stages\[1\].channels: expected a whole number of at least 1, got 0"),
        ({"kernel": 4}, r"stages\[1\].kernel: expected an odd number, got 4"),
        ({"stride": 3}, r"stages\[1\].stride: expected 1 or 2, got 3"),
        ({"expand": 0}, r"stages\[1\].expand"),
        ({"layers": 0}, r"stages\[1\].layers"),
        ({"se": 1.5}, r"stages\[1\].se: expected a number from 0 to 1, got 1.5"),
    ],
)
def test_impossible_stages_are_refused_by_name(tiny_network: Network, change: dict[str, int], message: str) -> None:
    broken = replace(tiny_network.stages[1], **change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        replace(tiny_network, stages=(tiny_network.stages[0], broken))


def test_stride_on_a_single_pixel_is_refused(tiny_network: Network) -> None:
    with pytest.raises(InputError, match=r"stages\[1\].stride: expected 1, got 2 on a 1x1 map"):
        tiny_network.at(resolution=2)


@pytest.mark.parametrize("change", [{"resolution": 0}, {"classes": 0}, {"stages": ()}, {"drop_connect": 1.0}])
def test_impossible_networks_are_refused(tiny_network: Network, change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        replace(tiny_network, **change)  # type: ignore[arg-type]


def test_a_skip_that_cannot_apply_makes_no_other_network(tiny_network: Network) -> None:
    widening = replace(tiny_network.stages[1], layers=1)
    first = replace(tiny_network, stages=(tiny_network.stages[0], widening))
    second = replace(first, stages=(first.stages[0], replace(widening, skip="none")))
    assert first != second and first.signature() == second.signature()
    repeated = replace(tiny_network, stages=(tiny_network.stages[0], replace(tiny_network.stages[1], skip="none")))
    assert repeated.signature() != tiny_network.signature()


def test_the_stem_counts_for_identity(tiny_network: Network) -> None:
    assert replace(tiny_network, stem=Stem(channels=16)).signature() != tiny_network.signature()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op": "mbconv6"}, r"stages\[0\].op: expected one of mbconv, .* got 'mbconv6'"),
        ({"skip": "yes"}, r"stages\[0\].skip: expected one of identity"),
        ({"activation": "gelu"}, r"stages\[0\].activation: expected one of swish"),
        ({"se": "0.25"}, r"stages\[0\].se: expected a number"),
        ({"expand": float("inf")}, r"stages\[0\].expand: expected a number above 0 and at most 1000"),
        ({"channels": 10**9}, r"stages\[0\].channels: expected at most 1,048,576"),
    ],
)
def test_tables_written_in_python_are_checked_too(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network(32, 10, Stem(8), (Stage(**{"channels": 8, **fields}),), Head(16))  # type: ignore[arg-type]


def test_a_head_without_layers_has_no_activation() -> None:
    heads = [Head(0, activation="relu"), Head(0, activation="swish")]
    first, second = (Network(32, 10, Stem(8), (Stage(8),), head) for head in heads)
    assert first.signature() == second.signature()
    assert replace(first, head=Head(8, activation="relu")).signature() != replace(second, head=Head(8)).signature()


@pytest.mark.parametrize("name", ["../up", "a\\b", "/root", "two\nlines"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(InputError, match="no slashes and no control characters"):
        Network(32, 10, Stem(8), (Stage(8),), Head(8), name=name)
